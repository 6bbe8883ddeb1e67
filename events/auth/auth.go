// Package auth holds the events of the authentication module: what people do
// with their accounts.
package auth

import "github.com/penstock-dev/penstock/events"

// Source is the module's name on the bus.
const Source = "auth"

// The numbers of the events, for consumers that tell them apart by number.
const (
	CodeLogin    = 2000
	CodeRegister = 2001
)

// Login: a person signed in.
type Login struct {
	// UserID names the person's account for ever.
	UserID string `json:"user_id"`
	// Email is the account's address at this time.
	Email string `json:"email" jsonschema:"format=email"`
}

// EventType implements [events.Event].
func (Login) EventType() events.Type { return events.Type{Source: Source, Name: "AUTH_LOGIN"} }

// EventCode implements [events.Coded].
func (Login) EventCode() int { return CodeLogin }

// Schema implements [events.Event].
func (Login) Schema() events.Event { return SampleLogin() }

// Register: a person made an account, and confirmed the address.
type Register struct {
	// UserID names the person's account for ever.
	UserID string `json:"user_id"`
	// Email is the account's address at this time.
	Email string `json:"email" jsonschema:"format=email"`
	// Lang is the language that the person chose, a BCP 47 tag such as de-CH.
	Lang string `json:"lang"`
}

// EventType implements [events.Event].
func (Register) EventType() events.Type { return events.Type{Source: Source, Name: "AUTH_REGISTER"} }

// EventCode implements [events.Coded].
func (Register) EventCode() int { return CodeRegister }

// Schema implements [events.Event].
func (Register) Schema() events.Event { return SampleRegister() }
