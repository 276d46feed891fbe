package control

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/windows"
)

// TestDirectoryOthersCanWriteTo: mode bits are 0777 for every directory here, so
// that no socket was ever made; what counts is the access control list.
func TestDirectoryOthersCanWriteTo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "adit")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		t.Fatal(err)
	}
	for list, open := range map[string]bool{
		"D:P(A;;FA;;;" + user.User.Sid.String() + ")(A;;FA;;;SY)(A;;FA;;;BA)": false,
		"D:P(A;;FA;;;" + user.User.Sid.String() + ")(A;;FR;;;WD)":             false, // everybody may look
		"D:P(A;;FA;;;" + user.User.Sid.String() + ")(A;OICIIO;FA;;;CO)":       false, // for what is made inside
		"D:P(A;;FA;;;" + user.User.Sid.String() + ")(A;;FW;;;WD)":             true,
		"D:P(A;;FA;;;" + user.User.Sid.String() + ")(A;;FA;;;BU)":             true,
	} {
		told, err := windows.SecurityDescriptorFromString(list)
		if err != nil {
			t.Fatal(err)
		}
		acl, _, err := told.DACL()
		if err != nil {
			t.Fatal(err)
		}
		if err := windows.SetNamedSecurityInfo(dir, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, acl, nil); err != nil {
			t.Fatal(err)
		}
		err = openToOthers(dir, nil)
		if open != (err != nil) {
			t.Errorf("%s: %v, want refused %v", list, err, open)
		}
		if err != nil && !strings.Contains(err.Error(), "LocalAppData") {
			t.Errorf("%v does not say what to choose", err)
		}
	}
}
