"""The console: a web page on running servers, for who would rather look than read."""
