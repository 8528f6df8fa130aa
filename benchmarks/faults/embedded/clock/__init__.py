"""On the path of a child process: its clock runs ahead or behind, as the campaign says."""
