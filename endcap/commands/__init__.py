"""One module a command; heavy imports stay inside the functions so that ``endcap --help`` is quick."""
