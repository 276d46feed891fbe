package service

import (
	"strings"
	"time"
)

// What a service of Windows is, beside its command line: the account exists as long
// as the service does, and may next to nothing.
const (
	scmAccounts    = `NT SERVICE\`
	scmForget      = 24 * time.Hour // failures are forgotten after that
	programData    = `C:\ProgramData`
	administrators = "*S-1-5-32-544" // as SIDs: the names are of the system's language
	localSystem    = "*S-1-5-18"
)

// scmDelays are how long the service control manager waits before it starts the
// service again after its first, second and every further failure.
func scmDelays() []time.Duration {
	return []time.Duration{2 * time.Second, 5 * time.Second, 30 * time.Second}
}

// scmDescription ends with what tells our services from others.
func (s *Spec) scmDescription() string { return s.title() + " (" + scmMark + ")" }

const scmMark = "adit service install"

// scmWord quotes an argument as the C runtime of Windows reads it. Paths have no
// quotes in them.
func scmWord(word string) string {
	if !strings.ContainsAny(word, " \t") {
		return word
	}
	trailing := len(word) - len(strings.TrimRight(word, `\`))
	return `"` + word + strings.Repeat(`\`, trailing) + `"`
}

func (s *Spec) scmCommand() string {
	words := s.command()
	for i := range words {
		words[i] = scmWord(words[i])
	}
	return strings.Join(words, " ")
}

// scmGrants are programs that let the service read its settings and write its state.
func (s *Spec) scmGrants(dir string) [][]string {
	account := scmAccounts + s.Unit()
	return [][]string{
		{"icacls", dir, "/inheritance:r", "/grant", account + ":(OI)(CI)M", administrators + ":(OI)(CI)F", localSystem + ":(OI)(CI)F"},
		{"icacls", s.Config, "/grant", account + ":R"},
	}
}

// windows is the plan of a service of Windows. There is no file: Text is a script of
// PowerShell.
func (s *Spec) windows() *Plan {
	dir := scmState(s.Unit())
	p := &Plan{State: dir, Sockets: dir, Logs: "Get-Content -Wait '" + dir + `\adit.log'`, Notes: []string{
		"files of credentials that the settings name must be readable for " + scmAccounts + s.Unit(),
	}}
	quote := func(word string) string { return "'" + strings.ReplaceAll(word, "'", "''") + "'" }
	var b strings.Builder
	line := func(words ...string) { b.WriteString(strings.Join(words, " ") + "\n") }
	unit := s.Unit()
	line("# " + mark)
	line("New-Service -Name", unit, "-DisplayName", quote(unit), "-Description", quote(s.scmDescription()), "`\n  -BinaryPathName", quote(s.scmCommand()))
	line("sc.exe config", unit, "start= delayed-auto obj=", quote(scmAccounts+unit))
	line("sc.exe sidtype", unit, "unrestricted")
	line("sc.exe failure", unit, "reset= 86400 actions= restart/2000/restart/5000/restart/30000")
	line("sc.exe failureflag", unit, "1")
	line("New-Item -ItemType Directory -Force", quote(dir))
	for _, words := range s.scmGrants(dir) {
		for i := range words[1:] {
			if !strings.HasPrefix(words[i+1], "/") {
				words[i+1] = quote(words[i+1])
			}
		}
		line(words...)
	}
	line("Start-Service", unit)
	p.Text = seal(b.String())
	return p
}

// scmState is where a service keeps what it writes.
func scmState(unit string) string { return programData + `\adit\` + strings.TrimPrefix(unit, "adit-") }
