package service

import (
	"path"
	"strings"
)

// unitDir is where systemd looks for what an operator made; unitDirs are where
// packages put theirs.
const unitDir = "/etc/systemd/system"

func unitDirs() []string { return []string{"/usr/lib/systemd/system", "/lib/systemd/system"} }

// systemd is the plan of a unit.
func (s *Spec) systemd() *Plan {
	unit := s.Unit() + ".service"
	p := &Plan{Mode: 0o644, Path: path.Join(unitDir, unit), State: "/var/lib/adit/" + s.instance(), Sockets: "/run/adit/" + s.instance(),
		Logs: "journalctl -u " + s.Unit(), Text: seal(s.systemUnit()), Prepare: [][]string{{"groupadd", "--system", "--force", group}}}
	ctl := []string{"systemctl"}
	if s.User {
		p.Path, p.Text = path.Join(s.ConfigHome, "systemd/user", unit), seal(s.userUnit())
		p.State, p.Sockets = path.Join(s.StateHome, "adit"), "" // as without a service
		p.Logs, p.Prepare = "journalctl --user -u "+s.Unit(), nil
		p.Notes = []string{"it runs while you are logged in; from boot on after: loginctl enable-linger"}
		ctl = []string{"systemctl", "--user"}
	}
	do := func(words ...string) []string { return append(ctl[:len(ctl):len(ctl)], words...) }
	p.Start = [][]string{do("daemon-reload"), do("enable", "--now", unit)}
	p.Restart = [][]string{do("daemon-reload"), do("enable", unit), do("restart", unit)}
	p.Stop = [][]string{do("disable", "--now", unit)}
	p.Forget = [][]string{do("daemon-reload")}
	return p
}

// unitWord writes a word of ExecStart= (systemd.service(5), "Command lines"). The
// program itself is not looked through for variables.
func unitWord(word string, program bool) string {
	word = strings.ReplaceAll(word, "%", "%%")
	if !program {
		word = strings.ReplaceAll(word, "$", "$$")
	}
	plain := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("/_.:=@+,-%$", c)
	}
	if strings.IndexFunc(word, func(c rune) bool { return !plain(c) }) < 0 {
		return word
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(word) + `"`
}

func (s *Spec) execStart() string {
	var words []string
	for i, word := range s.command() {
		words = append(words, unitWord(word, i == 0))
	}
	return strings.Join(words, " ")
}

// head is what units of the system and of an operator have in common.
func (s *Spec) head() string {
	return "# " + mark + "\n" +
		"# Change it with systemctl edit: what you write there stays when this file is replaced.\n" +
		"[Unit]\nDescription=" + s.title() + "\nDocumentation=man:adit-" + string(s.Role) + "(1) man:adit.yaml(5)\n"
}

// running is how either runs: a service that is told when it serves, whose successor
// after SIGUSR2 is its main process, and that is started again whatever it ended of,
// but not where its settings were refused (exit code 2).
func (s *Spec) running() string {
	return `
[Service]
Type=notify
NotifyAccess=all
# Paths in the settings are relative to where these are.
WorkingDirectory=-` + strings.ReplaceAll(path.Dir(s.Config), "%", "%%") + `
ExecStart=` + s.execStart() + `
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=2s
RestartPreventExitStatus=2
KillMode=mixed
TimeoutStopSec=90s
LimitNOFILE=524288
LimitCORE=0
UMask=0077
`
}

// confined is what a program can do without anywhere: it needs sockets of the
// internet and of Unix, files, and to start itself anew.
const confined = `
NoNewPrivileges=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
`

func (s *Spec) systemUnit() string {
	rights, capability := "Ports below 1024, and no other right of root.", "CAP_NET_BIND_SERVICE"
	if s.Role == Client {
		rights, capability = "No right of root.", "" // it listens nowhere that would need one
	}
	return s.head() + `Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0
` + s.running() + `
# A user of its own for as long as it runs. The group may read files of root:adit 0640
# in /etc/adit, and use the control socket.
DynamicUser=yes
Group=` + group + `
StateDirectory=adit/` + s.instance() + `
StateDirectoryMode=0700
RuntimeDirectory=adit/` + s.instance() + `
RuntimeDirectoryMode=0750

# ` + rights + ` Files that it shall write elsewhere
# than in its StateDirectory need ReadWritePaths=.
CapabilityBoundingSet=` + capability + `
AmbientCapabilities=` + capability + `
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateMounts=yes
PrivateDevices=yes
DevicePolicy=closed
ProtectProc=invisible
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
KeyringMode=private
RemoveIPC=yes` + confined + `
[Install]
WantedBy=multi-user.target
`
}

func (s *Spec) userUnit() string {
	return s.head() + "StartLimitIntervalSec=0\n" + s.running() + confined + "\n[Install]\nWantedBy=default.target\n"
}
