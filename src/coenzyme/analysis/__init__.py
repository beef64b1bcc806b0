"""Facts about a function, found once and frozen: exits, memory, activity, loops, what the tape must hold."""
