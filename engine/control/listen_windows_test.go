package control

import (
	"testing"

	"golang.org/x/sys/windows"
)

// TestWhoCanWriteToADirectory: mode bits are 0777 for every directory here, so
// that no socket was ever made; what counts is the access control list.
func TestWhoCanWriteToADirectory(t *testing.T) {
	const us = "S-1-5-21-1-2-3-1000"
	user, err := windows.StringToSid(us)
	if err != nil {
		t.Fatal(err)
	}
	for text, open := range map[string]bool{
		"O:" + us + "D:P(A;;FA;;;" + us + ")(A;;FA;;;SY)(A;;FA;;;BA)": false,
		"O:BAD:P(A;;FA;;;" + us + ")":                                 false,
		"O:" + us + "D:P(A;;FA;;;" + us + ")(A;;FR;;;WD)":             false, // everybody may look
		"O:" + us + "D:P(A;;FA;;;" + us + ")(A;OICIIO;FA;;;CO)":       false, // for what is made inside
		"O:" + us + "D:P(A;;FA;;;" + us + ")(D;;FW;;;WD)":             false, // forbids
		"O:" + us + "D:P(A;;FA;;;" + us + ")(A;;FW;;;WD)":             true,
		"O:" + us + "D:P(A;;FA;;;" + us + ")(A;;FA;;;BU)":             true,
		"O:" + us + "D:P(A;;FA;;;" + us + ")(A;;WD;;;AU)":             true, // may give himself the right
		"O:S-1-5-21-1-2-3-1001D:P(A;;FA;;;" + us + ")":                true,
		"O:" + us: true, // no list: everybody
	} {
		described, err := windows.SecurityDescriptorFromString(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if err := onlyFor(user, described); open != (err != nil) {
			t.Errorf("%s: %v, want refused %v", text, err, open)
		}
	}
}
