// Package service installs adit as a service of the operating system: units of
// systemd, property lists of launchd, and services of Windows. What it would
// write can be had without writing it.
//
// Start here.
package service

// A Role is which end a service runs.
type Role string

const (
	Server Role = "server"
	Client Role = "client"
)
