"""The commands of `tidewise`, a module for each kind of work. They parse, call, and print; they decide nothing."""
