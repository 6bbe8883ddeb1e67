package main

import (
	"context"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/auth"
)

// What calls the triggers, as the field triggerSource says ("Customizing user
// pool workflows with Lambda triggers"). A post-confirmation trigger is also
// called when a forgotten password was replaced, which is no registration.
const (
	sourceLogin  = "PostAuthentication_Authentication"
	sourceSignUp = "PostConfirmation_ConfirmSignUp"
)

// undetermined is the language of a person who chose none (BCP 47).
const undetermined = "und"

// call is what Cognito calls with, as far as it is needed.
type call struct {
	awsevents.CognitoEventUserPoolsHeader
	Request struct {
		UserAttributes map[string]string `json:"userAttributes"`
		ClientMetadata map[string]string `json:"clientMetadata"`
	} `json:"request"`
}

// sameSignIn is the time in which calls for one person, by one client of one
// pool, are one sign-in. Cognito gives its calls nothing by which a repeated one
// is known: no id, no time. It repeats one after 5 seconds, twice at most. So
// time is divided into half minutes, and an id is made of the half minute: a
// repeated call falls into another one in 5 of 30 cases, and two real sign-ins
// within one are one event.
const sameSignIn = 30 * time.Second

// eventOf makes the event that a call announces, with an id that does not depend
// on which of its repetitions this is; false for a call that announces none. The
// event names its user in its metadata, too.
func eventOf(c call, now time.Time) (events.Envelope, bool) {
	user := c.Request.UserAttributes["sub"]
	var e events.Event
	switch c.TriggerSource {
	case sourceLogin:
		e = auth.Login{UserID: user, Email: c.Request.UserAttributes["email"]}
	case sourceSignUp:
		e = auth.Register{UserID: user, Email: c.Request.UserAttributes["email"], Lang: language(c)}
	default:
		return events.Envelope{}, false
	}
	envelope := events.Stamp(events.WithOrigin(context.Background(), events.Origin{UserID: user}), e)
	source := c.UserPoolID + "/" + c.CallerContext.ClientID + "/" + c.UserName
	envelope.ID = events.DeriveID(now.Truncate(sameSignIn), source, e.EventType(), 0)
	envelope.CorrelationID = envelope.ID
	envelope.OccurredAt = now.UTC()
	return envelope, true
}

// language is what the person chose: the pool's attribute locale (OpenID
// Connect), or lang of the metadata that the application gave to ConfirmSignUp.
func language(c call) string {
	for _, lang := range []string{c.Request.UserAttributes["locale"], c.Request.ClientMetadata["lang"]} {
		if lang != "" {
			return lang
		}
	}
	return undetermined
}
