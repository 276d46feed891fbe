package control

import (
	"errors"
	"fmt"
	"io/fs"
	"unsafe"

	"golang.org/x/sys/windows"
)

// changing are the rights to put something else in the place of a file.
const changing = windows.FILE_WRITE_DATA | windows.FILE_APPEND_DATA | fileDeleteChild |
	windows.WRITE_DAC | windows.WRITE_OWNER | windows.GENERIC_WRITE | windows.GENERIC_ALL

const fileDeleteChild = 0x40 // FILE_DELETE_CHILD, of a directory

// openToOthers refuses a directory that others can write to: the bits of its mode
// tell nothing here, its access control list does.
func openToOthers(dir string, _ fs.FileInfo) error {
	described, err := windows.GetNamedSecurityInfo(dir, windows.SE_FILE_OBJECT, windows.OWNER_SECURITY_INFORMATION|windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		return fmt.Errorf("who can write to %s is not known: %w", dir, err)
	}
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return fmt.Errorf("who runs this is not known: %w", err)
	}
	if err := onlyFor(user.User.Sid, described); err != nil {
		return fmt.Errorf("%s: %w; choose one below %%LocalAppData%%", dir, err)
	}
	return nil
}

// onlyFor reports who can write to a directory beside this user, the system and
// administrators.
func onlyFor(user *windows.SID, described *windows.SECURITY_DESCRIPTOR) error {
	ours := func(sid *windows.SID) bool {
		return sid.Equals(user) || sid.IsWellKnown(windows.WinLocalSystemSid) || sid.IsWellKnown(windows.WinBuiltinAdministratorsSid)
	}
	owner, _, err := described.Owner()
	if err != nil || owner == nil {
		return fmt.Errorf("whose the directory is, is not known (%w)", errors.Join(err, windows.ERROR_INVALID_OWNER))
	}
	if !ours(owner) {
		return fmt.Errorf("the directory belongs to %s", owner)
	}
	list, _, err := described.DACL()
	switch {
	case errors.Is(err, windows.ERROR_OBJECT_NOT_FOUND) || err == nil && list == nil:
		return errors.New("everybody can write to the directory")
	case err != nil:
		return fmt.Errorf("who can write to the directory is not known: %w", err)
	}
	for i := range uint32(list.AceCount) {
		var entry *windows.ACCESS_ALLOWED_ACE
		if err := windows.GetAce(list, i, &entry); err != nil {
			return fmt.Errorf("who can write to the directory is not known: %w", err)
		}
		if entry.Header.AceType != windows.ACCESS_ALLOWED_ACE_TYPE || entry.Header.AceFlags&windows.INHERIT_ONLY_ACE != 0 || entry.Mask&changing == 0 {
			continue
		}
		if sid := sidOf(entry); !ours(sid) {
			return fmt.Errorf("others (%s) can write to the directory", sid)
		}
	}
	return nil
}

// lockDirectory takes no lock here.
func lockDirectory(string) (unlock func(), err error) { return func() {}, nil }

// refused reports whether nobody listens.
func refused(err error) bool { return errors.Is(err, windows.WSAECONNREFUSED) }

// sidOf returns whom an entry is for: it begins at SidStart.
func sidOf(entry *windows.ACCESS_ALLOWED_ACE) *windows.SID {
	return (*windows.SID)(unsafe.Pointer(&entry.SidStart))
}
