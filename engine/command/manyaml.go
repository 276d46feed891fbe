package command

import (
	"slices"
	"strings"

	"adit/engine/config"
)

// settingsPage returns adit.yaml(5), which the tables of settings are the source
// of.
func (m *manual) settingsPage() string {
	r := &roffPage{}
	r.title("adit.yaml", 5, m.date, m.version)
	r.section("name")
	r.line(roffCode("adit.yaml") + ` \- settings of adit server and adit client`)
	r.section("description")
	r.prose("A file in YAML that adit server and adit client read with --config. What is below server: is for the one, what is below " +
		"client: for the other; both may be there. A name that is not known is an error, and adit config check says all that " +
		"is wrong with a file.\n\n" +
		"Every setting is a flag too, and a variable of the environment: tcp-ports is --tcp-ports and ADIT_TCP_PORTS. A flag goes " +
		"before the environment, that before the file, and that before the default.\n\n" +
		"A setting whose value is SECRET|@FILE takes the credential itself or, after @, the name of a file that has it. " +
		"A setting that may be given several times is a list. DURATION is a number with a unit, such as 500ms, 20s or 1h; SIZE a number of bytes, " +
		"or with a unit, such as 64KiB.\n\n" +
		"When the file changes, on SIGHUP and by adit reload a run loads it again. What of it takes effect then is said at each " +
		"setting; all else does at a restart. A file with anything wrong changes nothing.\n\n" +
		"The files of settings of wsp are read too.")
	for _, role := range []struct {
		name     string
		settings []config.Setting
	}{{"server", config.ServerSettings(new(config.Server))}, {"client", config.ClientSettings(new(config.Client))}} {
		r.section("settings of " + role.name)
		var groups []string
		for i := range role.settings {
			if g := role.settings[i].Group; !slices.Contains(groups, g) {
				groups = append(groups, g)
			}
		}
		for _, g := range groups {
			title := g
			if title == "" {
				title = "General"
			}
			r.subsection(title)
			for i := range role.settings {
				if s := &role.settings[i]; s.Group == g {
					r.setting(s)
				}
			}
		}
	}
	r.section("rules")
	r.prose("Beside the settings a section has lists of rules, blacklist and whitelist. All parts of a rule must match: url, " +
		"method and headers are regular expressions, address is a list of networks, ports a range, from the networks of callers. Requests that the " +
		"blacklist matches are refused, and where there is a whitelist those that nothing in it matches. --deny and --allow " +
		"are rules too; what denies comes first. adit rules test explains what rules decide.")
	r.section("examples")
	r.literal(`server:
  listen: :8080
  domain: tunnels.example.com
  tokens: /etc/adit/tokens.yaml
client:
  server: [wss://tunnels.example.com/register]
  secret: "@/etc/adit/edge.token"
  expose: [app=http://localhost:3000]
  blacklist:
    - url: ^http://[^/]+/admin
      method: ^(PUT|DELETE)$`)
	r.b.WriteString(".PP\n")
	r.line(roffBold("adit config example") + " prints a file with every setting.")
	r.section("files")
	r.item(roffItalic("/etc/adit/adit.yaml"), "What the services of packages, and those of adit service install, are given.")
	r.section("see also")
	r.line(strings.Join([]string{pageReference("adit", 1), pageReference("adit-config", 1), pageReference("adit-server", 1),
		pageReference("adit-client", 1), pageReference("adit-rules", 1)}, ",\n"))
	return r.String()
}

// setting writes one setting with its value and its default.
func (r *roffPage) setting(s *config.Setting) {
	value := s.Value
	if value == "" {
		value = "true|false"
	}
	tag := roffBold(s.Name) + ": "
	if s.Repeatable {
		tag += "[" + roffItalic(value) + ", ...]"
	} else {
		tag += roffItalic(value)
	}
	text := sentence(s.Help)
	if s.Default != "" {
		text += " Default: " + s.Default + "."
	}
	switch {
	case s.Live:
		text += " A reload changes it."
	case s.Reads:
		text += " A reload reads what it names again."
	}
	r.item(tag, text)
}
