// Package sabotage makes components fail on purpose: Wrap takes one with failures and returns one that does, once each in all its
// lives, what they say instead of its work. Whoever tests what becomes of the rest of a machine imports it; it imports the root
// package alone.
package sabotage
