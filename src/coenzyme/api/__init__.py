"""The public layer: annotated calls and transforms, from Python and from compiled code."""
