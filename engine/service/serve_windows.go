package service

import (
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/windows/svc"
)

// Serve runs a program: as a service where the service control manager has started
// it, which then is told what becomes of it; otherwise as it is, with nil.
func Serve(run func(*Requests) int) int {
	// Asking who has started us lists all processes; most verbs can do without.
	if len(os.Args) < 2 || !slices.Contains([]string{string(Server), string(Client)}, os.Args[1]) {
		return run(nil)
	}
	if is, err := svc.IsWindowsService(); err != nil || !is {
		return run(nil)
	}
	s := &served{run: run}
	if err := svc.Run("", s); err != nil { // the name is the service control manager's to say
		return 1
	}
	return s.code
}

// served is a run that the service control manager has started.
type served struct {
	run  func(*Requests) int
	code int
}

// Execute runs until the program has ended. Its exit code is the service's own: what
// ends with another than 0 is a failure, after which it is started again.
func (s *served) Execute(args []string, asked <-chan svc.ChangeRequest, tell chan<- svc.Status) (bool, uint32) {
	const accepts = svc.AcceptStop | svc.AcceptShutdown | svc.AcceptParamChange
	unit := "adit"
	if len(args) > 0 {
		unit = args[0]
	}
	stop, reload, ended := make(chan struct{}), make(chan os.Signal, 1), make(chan int, 1)
	go func() {
		ended <- s.run(&Requests{Name: unit, State: scmState(unit), Stop: stop, Reload: reload})
	}()
	tell <- svc.Status{State: svc.Running, Accepts: accepts}
	stopping := false
	for {
		select {
		case s.code = <-ended:
			return s.code != 0, uint32(s.code)
		case r := <-asked:
			switch r.Cmd {
			case svc.Interrogate:
				tell <- r.CurrentStatus
			case svc.ParamChange:
				select {
				case reload <- syscall.SIGHUP:
				default: // one is on its way
				}
				tell <- r.CurrentStatus
			case svc.Stop, svc.Shutdown:
				if !stopping {
					stopping = true
					close(stop)
				}
				tell <- svc.Status{State: svc.StopPending, WaitHint: uint32(stopPatience / time.Millisecond)}
			}
		}
	}
}
