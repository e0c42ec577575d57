// Package rig runs components as they ship, in a node, on hardware that is broken on purpose: in the virtual time of a bubble of
// testing/synctest. Device is what each component of a chip must stand.
//
// Components and models of chips flow in; health and what the ports had flow out. Imported by tests only.
package rig
