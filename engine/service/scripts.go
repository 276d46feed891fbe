package service

import "strings"

// shellWord quotes a word for a POSIX shell where it needs that.
func shellWord(word string) string {
	plain := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("/_.:=@+,-%", c)
	}
	if word != "" && strings.IndexFunc(word, func(c rune) bool { return !plain(c) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// CommandLine writes words as one line for a POSIX shell.
func CommandLine(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = shellWord(word)
	}
	return strings.Join(quoted, " ")
}

// doubly writes words as one line inside of quotes: these scripts have the words of
// the command line in a variable, which is read by a shell once more.
func doubly(words []string) string { return shellWord(CommandLine(words)) }

// noHandover says what only systemd understands.
const noHandover = "adit restart does not fit here, the supervisor does not know the successor: restart the service"

// openrc is the plan of a script of OpenRC (openrc-run(8), supervise-daemon(8)).
func (s *Spec) openrc() *Plan {
	state, run := "/var/lib/adit/"+s.instance(), "/run/adit/"+s.instance()
	capability := ""
	if s.Role == Server {
		capability = "capabilities=\"^cap_net_bind_service\"\n"
	}
	p := &Plan{Path: "/etc/init.d/" + s.Unit(), Mode: 0o755, State: state, Sockets: run, Logs: "tail -f /var/log/adit/" + s.instance() + ".log",
		// busybox says that it is there already, with exit code 1; where OpenRC is without
		// busybox there is shadow.
		Prepare: [][]string{
			{"sh", "-c", "getent group " + group + " || addgroup -S " + group + " || groupadd --system " + group},
			{"sh", "-c", "getent passwd " + group + " || adduser -S -D -H -h /var/lib/adit -s /sbin/nologin -G " + group + " " + group +
				" || useradd --system --gid " + group + " --home-dir /var/lib/adit --no-create-home --shell /sbin/nologin " + group},
		},
		Start:   [][]string{{"rc-update", "add", s.Unit(), "default"}, {"rc-service", s.Unit(), "start"}},
		Restart: [][]string{{"rc-update", "add", s.Unit(), "default"}, {"rc-service", s.Unit(), "restart"}},
		Stop:    [][]string{{"rc-service", "--ifstarted", s.Unit(), "stop"}, {"rc-update", "del", s.Unit(), "default"}},
		Notes:   []string{noHandover},
	}
	p.Text = seal(`#!/sbin/openrc-run
# ` + mark + `

supervisor=supervise-daemon
description=` + shellWord(s.title()) + `
command=` + doubly([]string{s.Binary}) + `
command_args=` + doubly(s.command()[1:]) + `
command_user="` + group + `:` + group + `"
` + capability + `no_new_privs=yes
umask=0077
respawn_delay=2
respawn_max=0
retry="SIGTERM/90/SIGKILL/5"
rc_ulimit="-n 524288 -c 0"
output_log=/dev/null
error_log=/var/log/adit/` + s.instance() + `.log
extra_started_commands="reload"

export STATE_DIRECTORY=` + state + `
export RUNTIME_DIRECTORY=` + run + `

depend() {
	need net
	use dns logger
	after firewall
}

start_pre() {
	checkpath -d -m 0755 -o root:root /run/adit /var/lib/adit
	checkpath -d -m 0750 -o ` + group + `:` + group + ` "$RUNTIME_DIRECTORY" /var/log/adit
	checkpath -d -m 0700 -o ` + group + `:` + group + ` "$STATE_DIRECTORY"
}

reload() {
	ebegin "Reloading $RC_SVCNAME"
	supervise-daemon "$RC_SVCNAME" --signal HUP
	eend $?
}
`)
	return p
}

// rcd is the plan of a script of FreeBSD (rc.subr(8), daemon(8)).
func (s *Spec) rcd() *Plan {
	name := strings.NewReplacer("-", "_", ".", "_").Replace(s.Unit()) // a variable of a shell
	state, run := "/var/db/adit/"+s.instance(), "/var/run/adit/"+s.instance()
	p := &Plan{Path: "/usr/local/etc/rc.d/" + name, Mode: 0o755, State: state, Sockets: run, Logs: "tail -f /var/log/messages",
		Prepare: [][]string{{"sh", "-c", "pw groupshow " + group + " || pw groupadd " + group},
			{"sh", "-c", "pw usershow " + group + " || pw useradd " + group + " -g " + group + " -d /nonexistent -s /usr/sbin/nologin"}},
		Start:   [][]string{{"sysrc", name + "_enable=YES"}, {"service", name, "start"}},
		Restart: [][]string{{"sysrc", name + "_enable=YES"}, {"service", name, "restart"}},
		Stop:    [][]string{{"service", name, "onestop"}, {"sysrc", "-x", name + "_enable"}},
		Notes:   []string{noHandover},
	}
	if s.Role == Server {
		p.Notes = append(p.Notes, "ports below 1024: sysctl net.inet.ip.portrange.reservedhigh, or mac_portacl(4)")
	}
	p.Text = seal(`#!/bin/sh
# ` + mark + `

# PROVIDE: ` + name + `
# REQUIRE: LOGIN NETWORKING
# KEYWORD: shutdown

. /etc/rc.subr

name=` + name + `
rcvar=` + name + `_enable
desc=` + shellWord(s.title()) + `
load_rc_config $name
: ${` + name + `_enable:=NO}

pidfile=/var/run/` + name + `.pid
procname=/usr/sbin/daemon
command=/usr/sbin/daemon
command_args="-r -R 2 -P ${pidfile} -t ${name} -u ` + group + ` -S -m 2 -T ${name} -f "` + doubly(s.command()) + `
start_precmd=` + name + `_prepare
reload_cmd=` + name + `_reload
extra_commands=reload
` + name + `_env="STATE_DIRECTORY=` + state + ` RUNTIME_DIRECTORY=` + run + `"
` + name + `_limits="-n 65536 -c 0"

` + name + `_prepare() {
	install -d -o root -g wheel -m 0755 /var/run/adit /var/db/adit
	install -d -o ` + group + ` -g ` + group + ` -m 0750 ` + run + `
	install -d -o ` + group + ` -g ` + group + ` -m 0700 ` + state + `
}

` + name + `_reload() {
	pkill -HUP -P "$(cat ${pidfile})"
}

run_rc_command "$1"
`)
	return p
}
