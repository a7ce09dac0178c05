#!/bin/sh
# Starts Plone on 127.0.0.1:8080 in the background, from a copy of the template. The copy is made once; later changes
# stay in it. Prints the address and the accounts. With the argument `stop`, stops Plone.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
home=$(cd "$here/../.." && pwd)/.plone
instance=$home/instance
port=8080
url=http://127.0.0.1:$port/Plone

fail() { echo "plone: $*" >&2; exit 1; }
pid() { cat "$instance/pid" 2>/dev/null || true; }
# Succeeds if the process exists and is Plone. After a restart of the machine, another process may have its id.
running() {
    [ -n "$(pid)" ] && kill -0 "$(pid)" 2>/dev/null || return 1
    ! command -v ps > /dev/null || ps -p "$(pid)" -o args= | grep -qF "$instance/etc/zope.ini"
}
responds() {
    "$home/venv/bin/python" - "$url" <<'PYTHON'
import sys, urllib.request
try:
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(sys.argv[1] + "/@@ok", timeout=10)
except Exception:
    sys.exit(1)
PYTHON
}

if [ "${1:-}" = stop ]; then
    if running; then
        kill "$(pid)"
        while running; do sleep 0.2; done
        echo "plone: stopped"
    else
        echo "plone: not running"
    fi
    exit 0
fi

if running; then
    echo "plone: already running"
else
    if [ ! -f "$instance/made" ]; then
        rm -rf "$instance"
        mkdir -p "$instance/etc" "$instance/var/log"
        cp -R "$home/template/." "$instance/var/"
        rm "$instance/var/made"
        cp "$home/template/made" "$instance/made"
    elif ! cmp -s "$home/template/made" "$instance/made"; then
        echo "plone: the files in scripts/plone that define this site have changed since it was created."
        echo "plone: for a new site, run make stop-plone and remove $instance"
    fi
    sed -e "s|@INSTANCE@|$instance|" -e "s|@CACHE@|$home/cache|" "$here/zope.conf.in" > "$instance/etc/zope.conf"
    sed -e "s|@INSTANCE@|$instance|" -e "s|@PORT@|$port|" "$here/zope.ini.in" > "$instance/etc/zope.ini"
    cp "$here/site.zcml" "$instance/etc/site.zcml"
    "$home/venv/bin/python" -c "import socket; socket.create_server(('127.0.0.1', $port))" 2>/dev/null \
        || fail "another program listens on 127.0.0.1:$port"
    # In a session of its own, so that Ctrl-C in this terminal does not end Plone.
    "$home/venv/bin/python" -c '
import os, sys
from Zope2.Startup.serve import main
os.setsid()
sys.exit(main(["runwsgi", sys.argv[1]]))' "$instance/etc/zope.ini" > "$instance/var/log/output.log" 2>&1 < /dev/null &
    echo $! > "$instance/pid"
fi

# Plone is ready within seconds, on a busy machine within two minutes.
tries=240
until responds; do
    running || { tail -n 30 "$instance/var/log/output.log" >&2; fail "Plone ended. Its logs are in $instance/var/log"; }
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || fail "Plone does not respond. Its logs are in $instance/var/log"
    sleep 0.5
done

cat <<ACCOUNTS

Plone is ready at $url

  all passwords: eduhub-plone
  student1 … student40   students (Member)
  registrar              staff (Editor)
  clerk                  staff (Reviewer, through the group registrars)
  dean                   administrator (Site Administrator)
  eduhub                 the hub's own account (Site Administrator)
  admin                  Zope's root user (Manager)

  make run-plone    runs the hub in front of it
  make stop-plone   stops it; its content stays
ACCOUNTS
