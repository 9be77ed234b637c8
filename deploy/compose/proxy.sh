#!/bin/sh
# nginx with the routes of deploy/nginx.conf, to the containers by their names, which are looked up again as they move.
set -eu
sed -e 's|^http {|http {\n    resolver 127.0.0.11 valid=5s;|' \
    -e 's|^\( *\)server 127.0.0.1:3001\(.*\);|\1zone command 64k;\n\1server command-1:3000 resolve\2;\n\1server command-2:3000 resolve\2;|' \
    -e 's|^\( *\)server 127.0.0.1:3002\(.*\);|\1zone query 64k;\n\1server query-1:3000 resolve\2;\n\1server query-2:3000 resolve\2;|' \
    -e 's|listen 127.0.0.1:8080;|listen 8080;|' /etc/daybook/nginx.conf >/tmp/nginx.conf
exec nginx -c /tmp/nginx.conf -g 'daemon off; pid /tmp/nginx.pid;'
