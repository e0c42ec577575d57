// Package admission bounds what a network is given before it has said who it is: how many connections of strangers there are, in all and
// from one address, how much each may send, and for how long.
//
// A Door is a listener over another one. What it accepts is a Visitor, a stranger until its server calls Known on it: after that it is
// none of the Door's business. Servers of the ground stand behind it: the broker, the page, the enrolment, links that machines dial.
package admission
