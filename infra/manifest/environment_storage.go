package manifest

import (
	"net/url"
	"regexp"
)

// How long a function session is valid, in minutes, and what it is when an
// environment says nothing. Package session of functions holds to the same.
const (
	minSessionMinutes     = 10
	defaultSessionMinutes = 15
	maxSessionMinutes     = 20
)

// OIDCIssuer is an OpenID Connect issuer, such as a user pool of Cognito, whose
// people may use the data API.
type OIDCIssuer struct {
	// Issuer is its URL, as its tokens say it: of Cognito
	// https://cognito-idp.<region>.amazonaws.com/<user pool id>. Required.
	Issuer string `json:"issuer"`

	// Audience is whom tokens must be for: of Cognito, the id of the app client.
	// Required.
	Audience string `json:"audience"`

	// Prefix is put before the names of its users, such as "staff:". Required of
	// all issuers but one, since two may know different people by the same name;
	// where the environment has a user pool, that one is the user pool.
	Prefix string `json:"prefix,omitempty"`
}

var issuerPrefix = regexp.MustCompile(`^[a-z0-9-]+:$`)

func (e Environment) validateStorage(v *validator) {
	if m := e.SessionMinutes; m != 0 && (m < minSessionMinutes || m > maxSessionMinutes) {
		v.fault("sessionMinutes must be %d to %d (got %d); leave it out for %d", minSessionMinutes, maxSessionMinutes, m, defaultSessionMinutes)
	}
	if !e.StorageAPI {
		if e.SessionMinutes != 0 || len(e.OIDCIssuers) > 0 {
			v.fault(`sessionMinutes and oidcIssuers are of the data API: say "storageApi": true, or leave them out`)
		}
		return
	}
	if e.Endpoint != "" && len(e.OIDCIssuers) > 0 {
		v.fault("behind an endpoint there is the test issuer, and no other: leave out oidcIssuers")
	}
	issuers, prefixes := map[string]bool{}, map[string]bool{"": e.UserPool != nil}
	for _, i := range e.OIDCIssuers {
		u, err := url.Parse(i.Issuer)
		switch {
		case err != nil || u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
			v.fault(`oidcIssuers: issuer %q must be a URL with https, such as "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEf123"`, i.Issuer)
		case i.Audience == "":
			v.fault("oidcIssuers: issuer %q needs an audience: of Cognito, the id of the app client", i.Issuer)
		case i.Prefix == "" && prefixes[""]:
			v.fault(`oidcIssuers: issuer %q is one of several and needs a prefix for its users, such as "staff:"`, i.Issuer)
		case i.Prefix != "" && !issuerPrefix.MatchString(i.Prefix):
			v.fault(`oidcIssuers: prefix %q must be lower-case letters, digits and hyphens, and a colon at the end`, i.Prefix)
		case issuers[i.Issuer] || prefixes[i.Prefix]:
			v.fault("oidcIssuers: issuer %q or its prefix %q is there twice", i.Issuer, i.Prefix)
		}
		issuers[i.Issuer], prefixes[i.Prefix] = true, true
	}
}
