//go:build chaos

package chaos

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// peersFaults names, for each fault that a tunnel of others had (P1 to P25), the
// tests that would find it here: the file, from the top of the module, and their
// names. P5 and P18 can't be: adit serves no files and speaks no QUIC.
var peersFaults = []struct {
	id, fault string
	tests     [][]string
}{
	{"P1", "rules asked at the handshake only", [][]string{
		{"engine/server/scope_test.go", "TestScopeOfClientsForEveryRequest", "TestScopeOfCallersForEveryRequest"},
		{"engine/server/rules_test.go", "TestRulesOfEveryRequestOfAConnection"}, {"engine/server/revoke_test.go", "TestUpdateOfAScope"}}},
	{"P2", "a documented variable that nobody reads", [][]string{
		{"engine/config/setting_test.go", "TestEverySettingTakesEffectFromEverySource", "TestEveryFieldHasASetting"},
		{"engine/config/file_test.go", "TestFileErrorsNameFileLineAndNearestKey"}}},
	{"P3", "two fields that disagree about who it is", [][]string{
		{"engine/policy/credential_test.go", "TestClientCredentials", "TestCallerCredentials"},
		{"engine/policy/certificate_test.go", "TestCertificateBesideAField"}}},
	{"P4", "forged requests to inner services", [][]string{
		{"engine/policy/ssrf_test.go", "TestPolicyServerSideRequestForgery", "TestPolicyDialsTheAddressItChecked"},
		{"engine/server/gateway_test.go", "TestTargetsThatNoReaderMayMisunderstand"}, {"engine/client/ancestors_test.go", "TestRedirectOutOfTheRulesIsTheCallers"}}},
	{"P6", "credentials in URLs and logs, compared with ==", [][]string{
		{"engine/chaos/secrets_test.go", "TestNoSecretIsLeft"}, {"engine/policy/credential_test.go", "TestSecretsMatchOnlyTheirOwn"},
		{"engine/client/client_test.go", "TestServerURLsAreShownWithoutTheirQuery"}}},
	{"P7", "inner fields that a caller may forge", [][]string{
		{"engine/server/gateway_test.go", "TestHopByHopFieldsStayHere"}, {"engine/server/differential_test.go", "TestLikeReverseProxy"},
		{"engine/server/forwarded_test.go", "TestCallerThatSpeaksAsProxy"}, {"engine/server/proxied_test.go", "TestLoadBalancerThatSaysWhoConnects"}}},
	{"P8", "an interface that blocks the way of the data", [][]string{
		{"engine/chaos/consumer_test.go", "TestSlowConsumer"}, {"engine/observe/bus_test.go", "TestStalledSubscriberLosesTheOldestAndIsTold"}}},
	{"P9", "a client that comes back and is locked out by its dead self", [][]string{
		{"engine/server/takeover_test.go", "TestIDOfSilentInstanceIsTakenOver", "TestTakeoversLeaveNothing", "TestIDOfKilledInstanceIsFree", "TestIDOfLivingInstanceIsKept"}}},
	{"P10", "a stalled stream that uses up the receive budget of all", [][]string{
		{"engine/chaos/stall_test.go", "TestStalledStreams"}, {"engine/tunnel/native_test.go", "TestStalledReaderHoldsNobodyUp"}}},
	{"P11", "a stalled upload that uses up the window of all", [][]string{{"engine/chaos/stall_test.go", "TestStalledStreams"}}},
	{"P12", "reads that hang after a write timed out", [][]string{
		{"engine/chaos/stall_test.go", "TestCongestion"}, {"engine/tunnel/review_test.go", "TestFailedPongLetsProducersGo"}}},
	{"P13", "windows that starve a long way", [][]string{{"engine/chaos/stall_test.go", "TestLongWay"}}},
	{"P14", "an inspector that reads all, and unpacks all", [][]string{
		{"engine/chaos/large_test.go", "TestLargeContent"}, {"engine/inspect/read_test.go", "TestBombStopsAtTheBound"},
		{"engine/server/capture_test.go", "TestCaptureOfALotOfContent"}}},
	{"P15", "events held back", [][]string{
		{"engine/server/stream_test.go", "TestEventsAreNotBuffered"}, {"engine/client/serve_test.go", "TestStreamIsNotHeldBack"},
		{"engine/capture/stream_test.go", "TestEventIsThereAtOnce"}}},
	{"P16", "a listener that goes when nobody calls", [][]string{
		{"engine/server/peers_test.go", "TestDayOfSilence"}, {"engine/server/raw_test.go", "TestExposedPortIsBoundWhileExposed"}}},
	{"P17", "an accept loop that ends for want of files", [][]string{{"engine/server/limits_door_test.go", "TestAcceptThatFails", "TestEndWhileAcceptFails"}}},
	{"P19", "pings as rare as the middlebox is patient", [][]string{
		{"engine/server/peers_test.go", "TestDayOfSilence"}, {"engine/tunnel/pace_test.go", "TestPingsShareStrokes"}}},
	{"P20", "giving up, or all at once, after a restart", [][]string{
		{"engine/chaos/storm_test.go", "TestStorm"}, {"engine/chaos/kill_test.go", "TestKillServer"},
		{"engine/client/endpoint_test.go", "TestBackoffGrowsToItsCapWithFullJitter", "TestServerThatIsDownIsDialledWithBackoff"}}},
	{"P21", "WebSockets called idle", [][]string{
		{"engine/server/peers_test.go", "TestDayOfSilence"}, {"engine/server/lifecycle_test.go", "TestSilentConversationIsNotCut"}}},
	{"P22", "compression for every connection", [][]string{
		{"engine/server/peers_test.go", "TestCompressionIsNotTaken"}, {"engine/chaos/idle_test.go", "TestIdle"}}},
	{"P23", "rapid reset and endless heads", [][]string{
		{"engine/server/tls_test.go", "TestRapidReset"}, {"engine/tunnel/order_test.go", "TestRapidResetIsBounded"}}},
	{"P24", "lengths that overflow", [][]string{
		{"engine/tunnel/hostile_test.go", "TestRFC6455"}, {"engine/frame/frame_test.go", "TestHugeLengthIsSkippedWithoutWrapping"},
		{"engine/capture/stream_test.go", "TestFrameWithAHostileLength"}}},
	{"P25", "a stop that deletes what is to stay", [][]string{{"engine/chaos/stall_test.go", "TestStopKeepsState"}}},
}

// TestPeersFaultsHaveTests checks that the tests named for the faults of peers
// are there: one that is renamed or removed is missed.
func TestPeersFaultsHaveTests(t *testing.T) {
	const top = "../.."
	for _, f := range peersFaults {
		if len(f.tests) == 0 {
			t.Errorf("%s, %s: no test", f.id, f.fault)
		}
		for _, named := range f.tests {
			content, err := os.ReadFile(filepath.Join(top, named[0]))
			if err != nil {
				t.Errorf("%s: %v", f.id, err)
			}
			for _, name := range named[1:] {
				if !regexp.MustCompile(`(?m)^func ` + name + `\(`).Match(content) {
					t.Errorf("%s, %s: %s has no %s", f.id, f.fault, named[0], name)
				}
			}
		}
	}
}
