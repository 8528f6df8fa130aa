"""The commands of `tidewise`: they parse options, call a use case and print the result."""
