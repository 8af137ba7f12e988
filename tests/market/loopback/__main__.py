"""`python -m market.loopback`: a server described by one line of JSON on stdin, until stdin ends."""

import sys

from market.loopback.apart import serve

if __name__ == "__main__":
    serve(sys.stdin.readline())
