#!/bin/sh
# Installs the program from the folder of the tarball, for systems without .deb:
# run as root. Run again with a newer one it upgrades; what was configured stays.
#
#   install.sh             into /usr/local, with the systemd service
#   install.sh --remove    takes it away again; mail and settings stay
set -eu
here=$(cd "$(dirname "$0")" && pwd)
p=/usr/local
unit=/etc/systemd/system/mailstead.service
say() { printf '%s\n' "$*"; }
systemd() { [ -d /run/systemd/system ]; }

if [ "$(id -u)" != 0 ]; then
	say "error: installing needs root" >&2
	say "hint: sudo $0" >&2
	exit 1
fi
if [ "${1:-}" = --remove ]; then
	if systemd; then systemctl disable --now mailstead.service || true; fi
	rm -f $unit $p/bin/mailstead $p/share/man/man1/mailstead.1.gz $p/share/man/man5/mailstead.toml.5.gz \
		$p/share/bash-completion/completions/mailstead $p/share/zsh/site-functions/_mailstead \
		$p/share/fish/vendor_completions.d/mailstead.fish
	if systemd; then systemctl daemon-reload; fi
	say "Mailstead is removed. Mail stays in /var/lib/mailstead, settings in /etc/mailstead."
	exit 0
fi

if ! getent passwd mailstead >/dev/null 2>&1 && ! grep -q '^mailstead:' /etc/passwd; then
	if command -v useradd >/dev/null; then
		useradd --system --user-group --home-dir /var/lib/mailstead --no-create-home --shell /usr/sbin/nologin mailstead
	else # busybox
		addgroup -S mailstead
		adduser -S -D -H -G mailstead -h /var/lib/mailstead mailstead
	fi
fi
mkdir -p $p/bin $p/share/man/man1 $p/share/man/man5 $p/share/bash-completion/completions \
	$p/share/zsh/site-functions $p/share/fish/vendor_completions.d /etc/mailstead
if [ ! -d /var/lib/mailstead ]; then
	mkdir -m 0700 /var/lib/mailstead
	chown mailstead:mailstead /var/lib/mailstead
fi
# A running program's file is replaced, not written over.
cp "$here/mailstead" $p/bin/mailstead.new
chmod 755 $p/bin/mailstead.new
mv -f $p/bin/mailstead.new $p/bin/mailstead
cp "$here/man/mailstead.1.gz" $p/share/man/man1/
cp "$here/man/mailstead.toml.5.gz" $p/share/man/man5/
cp "$here/completion/mailstead.bash" $p/share/bash-completion/completions/mailstead
cp "$here/completion/_mailstead" $p/share/zsh/site-functions/
cp "$here/completion/mailstead.fish" $p/share/fish/vendor_completions.d/
[ -e /etc/mailstead/mailstead.toml ] || cp "$here/mailstead.toml" /etc/mailstead/mailstead.toml
if systemd; then
	sed "s#/usr/bin/mailstead#$p/bin/mailstead#" "$here/mailstead.service" >$unit
	systemctl daemon-reload
	systemctl enable mailstead.service
	systemctl restart mailstead.service
else
	say "There is no systemd here: start '$p/bin/mailstead serve' as the user mailstead, with the right to low ports."
fi
if [ -z "$(ls -A /var/lib/mailstead)" ]; then
	say "Mailstead is installed. Set it up now: mailstead setup"
fi
