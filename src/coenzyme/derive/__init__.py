"""From a function and a plan to its derivative: normalise, shadow, sweep forward, sweep in reverse."""
