// Package copied does with a lock what vet must find.
package copied

import "github.com/fulmar-io/fulmar/sched/pi"

// Twice returns two locks where there should be one.
func Twice(mu *pi.Mutex) (pi.Mutex, pi.Mutex) { return *mu, *mu }
