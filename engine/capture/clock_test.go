package capture

import "testing"

// TestClockThatIsSetChangesNoSampling: the window of sampling is reckoned by what a
// clock that is set does not change.
func TestClockThatIsSetChangesNoSampling(t *testing.T) {
	k, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if k.sampling.began == k.sampling.began.Round(0) {
		t.Error("the window is reckoned by the wall clock")
	}
}
