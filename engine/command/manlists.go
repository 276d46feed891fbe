package command

import (
	"strings"

	"github.com/spf13/cobra"
)

// A status is an exit code and what it means.
type status struct {
	code  int
	means string
}

// exitStatuses returns the exit codes that a verb can end with.
func exitStatuses(cmd *cobra.Command) []status {
	switch path := cmd.CommandPath(); {
	case !cmd.HasParent():
		return []status{
			{codeDone, "Done, also after SIGINT or SIGTERM, which lets requests finish."},
			{codeFailed, "Failed."},
			{codeUsage, "Wrong usage, or a refusal to start."},
			{codeUnreachable, "Could not listen or dial; adit service status: the service does not run."},
			{codeRefused, "Refused, because of a credential or a rule; adit service status: it is not installed."},
			{codeLost, "The connection was lost for good."},
			{codeWarned, "adit doctor: something is a warning, and nothing worse."},
			{codeInterrupted, "Stopped at once by a second signal."},
		}
	case strings.HasPrefix(path, "adit doctor"):
		return []status{
			{codeDone, "Nothing is worse than a note."},
			{codeFailed, "Something does not work."},
			{codeUsage, "Wrong usage."},
			{codeWarned, "Something is a warning, and nothing worse."},
			{codeInterrupted, "Interrupted, so that not everything was probed."},
		}
	case path == "adit service status":
		return []status{
			{codeDone, "The service runs."},
			{codeFailed, "Failed."},
			{codeUsage, "Wrong usage, or nothing that adit knows looks after services here."},
			{codeStopped, "The service does not run."},
			{codeAbsent, "The service is not installed."},
		}
	case path == "adit rules test":
		return []status{
			{codeDone, "The request is allowed."},
			{codeFailed, "That depends on what was not said."},
			{codeUsage, "Wrong usage, or rules that are wrong."},
			{codeRefused, "The request is denied."},
		}
	}
	all := []status{
		{codeDone, "Done."},
		{codeFailed, "Failed."},
		{codeUsage, "Wrong usage, or a refusal to start."},
	}
	if runs(cmd) || cmd.Flags().Lookup("addr") != nil {
		all[0].means = "Done, also after SIGINT or SIGTERM, which lets requests finish."
		all = append(all,
			status{codeUnreachable, "Could not listen or dial."},
			status{codeRefused, "Refused, because of a credential or a rule."},
			status{codeLost, "The connection was lost for good."},
			status{codeInterrupted, "Stopped at once by a second signal."})
	}
	switch cmd.CommandPath() {
	case "adit config check":
		all[0].means = "Each role that a file has settings for would start."
		all[2].means = "Wrong usage, or a role that would not start."
	case "adit rules rehearse":
		all[0].means = "Nothing would be decided otherwise."
		all[1].means = "Something would be, or it failed."
	}
	return all
}

// runs reports whether cmd starts a server or a client.
func runs(cmd *cobra.Command) bool {
	switch cmd.CommandPath() {
	case "adit server", "adit client", "adit demo":
		return true
	}
	return false
}

// A listed is a variable or a file, and what it is for.
type listed struct{ name, means string }

// environmentOf returns the variables that a verb reads.
func environmentOf(cmd *cobra.Command) []listed {
	var list []listed
	flags := cmd.Flags()
	root := !cmd.HasParent()
	if root {
		list = append(list, listed{"ADIT_SETTING", "Every flag of adit server and adit client that is a setting, in capitals, " +
			"with _ for -: ADIT_TCP_PORTS is --tcp-ports. An empty variable is as good as none."})
	}
	if root || flags.Lookup("addr") != nil && flags.Lookup("token") != nil {
		list = append(list,
			listed{"ADIT_ADDR", "Whom to ask, where --addr is not given."},
			listed{"ADIT_TOKEN", "Credential for https://, or @ and the name of a file that has it, where --token is not given."})
	}
	if root || flags.Lookup("file") != nil {
		list = append(list, listed{"ADIT_TOKENS", "The file of tokens."})
	}
	if root || flags.Lookup("theme") != nil {
		list = append(list,
			listed{"NO_COLOR", "The dashboard draws without colours."},
			listed{"TERM, COLORTERM", "What the terminal can do."})
	}
	if root || cmd.CommandPath() == "adit client" || cmd.CommandPath() == "adit doctor" || cmd.CommandPath() == "adit doctor client" {
		list = append(list, listed{"HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY", "Proxies on the way to the servers, where --proxy is not given."})
	}
	if root || runs(cmd) {
		list = append(list,
			listed{"NOTIFY_SOCKET, LISTEN_FDS", "A service manager's, which is told when the run is ready, and may hand over sockets."},
			listed{"GOMEMLIMIT, GOGC, GOMAXPROCS", "Bounds of the Go run time, which go before adit's own."})
	}
	if root || runs(cmd) || flags.Lookup("addr") != nil {
		list = append(list, listed{"XDG_RUNTIME_DIR, XDG_STATE_HOME, XDG_CONFIG_HOME", "Where files are, see below."})
	}
	if cmd.CommandPath() == "adit man" {
		list = append(list, listed{"SOURCE_DATE_EPOCH", "The date of the pages, in seconds since 1970."})
	}
	return list
}

// filesOf returns the files that a verb reads and writes.
func filesOf(cmd *cobra.Command) []listed {
	flags := cmd.Flags()
	root := !cmd.HasParent()
	var list []listed
	if root || flags.Lookup("config") != nil {
		list = append(list, listed{"/etc/adit/adit.yaml", "Settings of the services that packages and adit service install; read with --config only."})
	}
	if root || runs(cmd) || flags.Lookup("addr") != nil {
		list = append(list, listed{"$XDG_RUNTIME_DIR/adit/ROLE-NAME.sock", "Control socket of a run; below $XDG_STATE_HOME/adit where there is no $XDG_RUNTIME_DIR."})
	}
	if root || flags.Lookup("store") != nil {
		list = append(list, listed{"$XDG_STATE_HOME/adit/ROLE-NAME.db", "History of a run; $XDG_STATE_HOME is ~/.local/state where it is not set."})
	}
	if root || flags.Lookup("theme") != nil || strings.HasPrefix(cmd.CommandPath(), "adit keys") || strings.HasPrefix(cmd.CommandPath(), "adit themes") {
		list = append(list,
			listed{"$XDG_CONFIG_HOME/adit/keys.yaml", "What keys of the dashboard mean."},
			listed{"$XDG_CONFIG_HOME/adit/themes/", "Themes of the dashboard."})
	}
	return list
}
