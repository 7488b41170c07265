"""One module per kind of child object; each a pure function from what is wanted to the object."""
