#!/bin/sh
# Starts the college's Plone on 127.0.0.1:8080 in the background, from a copy of the template that is made once and then
# keeps what is done in it; says where it is and who can sign in. `stop` as argument stops it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
home=$(cd "$here/../.." && pwd)/.plone
instance=$home/instance
port=8080
url=http://127.0.0.1:$port/Plone

fail() { echo "plone: $*" >&2; exit 1; }
process() { cat "$instance/pid" 2>/dev/null || true; }
# A process of this id lives, and it is Plone: ids are given again after a restart of the machine.
running() {
    [ -n "$(process)" ] && kill -0 "$(process)" 2>/dev/null || return 1
    ! command -v ps > /dev/null || ps -p "$(process)" -o args= | grep -qF "$instance/etc/zope.ini"
}
answers() {
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
        kill "$(process)"
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
        echo "plone: the site is of an older scripts/plone/site.py; for a new one: make stop-plone, then remove $instance"
    fi
    sed -e "s|@INSTANCE@|$instance|" -e "s|@CACHE@|$home/cache|" "$here/zope.conf.in" > "$instance/etc/zope.conf"
    sed -e "s|@INSTANCE@|$instance|" -e "s|@PORT@|$port|" "$here/zope.ini.in" > "$instance/etc/zope.ini"
    cp "$here/site.zcml" "$instance/etc/site.zcml"
    "$home/venv/bin/python" -c "import socket; socket.create_server(('127.0.0.1', $port))" 2>/dev/null \
        || fail "something else listens on 127.0.0.1:$port"
    # In a session of its own: what ends this terminal's command does not end Plone.
    "$home/venv/bin/python" -c '
import os, sys
from Zope2.Startup.serve import main
os.setsid()
sys.exit(main(["runwsgi", sys.argv[1]]))' "$instance/etc/zope.ini" > "$instance/var/log/output.log" 2>&1 < /dev/null &
    echo $! > "$instance/pid"
fi

# Ready within seconds, on a busy machine within a minute or two.
tries=240
until answers; do
    running || { tail -n 30 "$instance/var/log/output.log" >&2; fail "Plone ended; its logs are in $instance/var/log"; }
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || fail "Plone does not answer; its logs are in $instance/var/log"
    sleep 0.5
done

cat <<ACCOUNTS

Plone is ready at $url

  all passwords: eduhub-plone
  student1 … student40   students (Member)
  registrar              staff (Editor)
  clerk                  staff (Reviewer, by the group registrars)
  dean                   administrator (Site Administrator)
  eduhub                 what the hub signs in with (Site Administrator)
  admin                  Zope's own administrator (Manager)

  make run-plone    the hub in front of it
  make stop-plone   stops it; its content stays
ACCOUNTS
