// Package sim holds what runs whole systems in virtual time. Its rooms: world (machines, a network, disks and a ground in
// one goroutine) and plant (what the machines drive).
package sim
