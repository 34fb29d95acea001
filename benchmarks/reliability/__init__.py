"""What may fail while it serves: releases change, load grows, processes die, stores go, callers err."""
