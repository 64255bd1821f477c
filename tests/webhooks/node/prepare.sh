#!/bin/sh
# One test has a receiver on Node. A bare machine gets Node here; without the right to install it the test
# says so and is left out.
command -v npm >/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Node is installed, for the test with a Node receiver." >&2
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nodejs npm; } >/dev/null 2>&1 && exit 0
fi
echo "There is no npm, and it cannot be installed here: the test with a Node receiver is left out." >&2
