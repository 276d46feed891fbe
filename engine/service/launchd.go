package service

import (
	"encoding/xml"
	"path"
	"strconv"
	"strings"
)

// daemonUser is whom a daemon of launchd runs as: every macOS has the user, who owns
// nothing.
const daemonUser = "daemon"

// launchd is the plan of a property list.
func (s *Spec) launchd() *Plan {
	file := s.Unit() + ".plist"
	dir := "/var/db/adit/" + s.instance()
	p := &Plan{Path: "/Library/LaunchDaemons/" + file, Mode: 0o644, State: dir, Sockets: dir, Logs: "tail -f " + dir + "/adit.log",
		Prepare: [][]string{{"install", "-d", "-o", daemonUser, "-g", daemonUser, "-m", "0750", dir}}}
	domain, log := "system", dir+"/adit.log"
	if s.User {
		domain, log = "gui/"+strconv.Itoa(s.UID), path.Join(s.Home, "Library/Logs", s.Unit()+".log")
		p.Path, p.State, p.Sockets = path.Join(s.Home, "Library/LaunchAgents", file), path.Join(s.StateHome, "adit"), ""
		p.Logs, p.Prepare = "tail -f "+shellWord(log), nil
	} else {
		p.Notes = []string{"it runs as " + daemonUser + ", who must be able to read " + s.Config + " and what that names"}
	}
	p.Notes = append(p.Notes, "adit restart does not fit here, launchd would end the successor: launchctl kickstart -k "+domain+"/"+s.Unit())
	p.Text = seal(s.plist(log))
	target := domain + "/" + s.Unit()
	begin := [][]string{{"launchctl", "enable", target}, {"launchctl", "bootstrap", domain, p.Path}}
	p.Start = begin
	p.Stop = [][]string{{"launchctl", "bootout", target}}
	p.Restart = append([][]string{{"launchctl", "bootout", target}}, begin...)
	return p
}

// plist writes the property list (launchd.plist(5)). A job of type Interactive is
// not slowed down in favour of programs with a window.
func (s *Spec) plist(log string) string {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- ` + mark + ` -->
<plist version="1.0">
<dict>
`)
	text := func(v string) string {
		var escaped strings.Builder
		_ = xml.EscapeText(&escaped, []byte(v)) // a Builder takes everything
		return "<string>" + escaped.String() + "</string>"
	}
	put := func(key, value string) { b.WriteString("\t<key>" + key + "</key>\n\t" + value + "\n") }
	put("Label", text(s.Unit()))
	var words strings.Builder
	for _, word := range s.command() {
		words.WriteString("\t\t" + text(word) + "\n")
	}
	put("ProgramArguments", "<array>\n"+words.String()+"\t</array>")
	if !s.User {
		put("UserName", text(daemonUser))
		put("GroupName", text(daemonUser))
		put("InitGroups", "<true/>")
		dir := text("/var/db/adit/" + s.instance())
		put("EnvironmentVariables", "<dict>\n\t\t<key>STATE_DIRECTORY</key>\n\t\t"+dir+"\n\t\t<key>RUNTIME_DIRECTORY</key>\n\t\t"+dir+"\n\t</dict>")
	}
	put("RunAtLoad", "<true/>")
	put("KeepAlive", "<true/>")
	put("ProcessType", text("Interactive"))
	put("ExitTimeOut", "<integer>90</integer>")
	const files = "<dict>\n\t\t<key>NumberOfFiles</key>\n\t\t<integer>65536</integer>\n\t</dict>"
	put("SoftResourceLimits", files)
	put("HardResourceLimits", files)
	put("Umask", "<integer>63</integer>") // 0077; a property list knows decimals only
	put("StandardErrorPath", text(log))
	b.WriteString("</dict>\n</plist>\n")
	return b.String()
}
