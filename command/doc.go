// Package command is the vocabulary of commands: what a component takes, what a ground asks of it, and what became of that.
//
// A command is declared by a component, with a name, arguments, a risk, and the role that whoever gives it must have. The declarations
// reach the ground as records (DeclarationLayout). An Order is one that was given: its values are text, which the component's own
// declaration turns into types. It ends in an Outcome, which is a record too (OutcomeLayout) and so arrives once, through dead links and
// power cuts. How an order comes to the machine, signed, is secure/order's; what the machine and the ground remember of it is
// courier/desk's and ground/orders'.
//
// It decides nothing and does no I/O. Any room above it may import it.
package command
