// Package egress makes HTTP requests to URLs that others have chosen: callbacks
// of asynchronous invocations, and webhooks.
//
// Whoever chooses a URL must not reach by it what only the sender reaches: the
// metadata of the machine, a database in the VPC, a service on loopback. A
// [Client] therefore
//
//   - sends by HTTPS alone, to hosts that are on its list;
//   - looks at the address at the moment at which a connection is made to it, and
//     not before: a name that answers with a public address when it is asked, and
//     with a private one when it is used (DNS rebinding), gains nothing;
//   - follows no redirect, uses no proxy, sends no cookie;
//   - bounds the time to connect, the whole time, and what it reads of a response.
//
// What it refuses for good is an [ErrRefused]. Everything else may go better at
// another time.
package egress

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
)

// ErrRefused is wrapped by the errors of what a Client never sends: to a URL that
// it does not take, a host that is not on its list, or an address that is not
// public. Trying again does not help.
var ErrRefused = errors.New("refused")

func refused(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrRefused, fmt.Errorf(format, args...))
}

// AnyHost on the list of a Client lets it send to every host.
const AnyHost = "*"

// The defaults of a Config.
const (
	DefaultConnectTimeout = 5 * time.Second
	DefaultTimeout        = 15 * time.Second // as the Standard Webhooks specification has it at least
	DefaultMaxResponse    = 64 << 10
)

// Config is what a Client may do.
type Config struct {
	// Hosts are the names of hosts that may be sent to: "hooks.example.com" is
	// one, "*.example.com" all below example.com and not itself, AnyHost all.
	// Empty: none.
	Hosts []string

	// Loopback also allows the addresses of the machine itself: 127.0.0.0/8 and ::1,
	// and to them HTTP without TLS, if the URL says localhost or such an address. It
	// is for an environment on one machine. All other addresses that are not public
	// are refused even so.
	Loopback bool

	ConnectTimeout time.Duration // 0: DefaultConnectTimeout; the TLS handshake has as long again
	Timeout        time.Duration // of a request and its response; 0: DefaultTimeout
	MaxResponse    int64         // bytes of a response's body that are read; 0: DefaultMaxResponse
}

// Client sends requests. It is safe for concurrent use.
type Client struct {
	config Config
	dialer *net.Dialer
	http   *http.Client
}

// New returns a Client.
func New(c Config) *Client {
	c.ConnectTimeout = cmp.Or(c.ConnectTimeout, DefaultConnectTimeout)
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	c.MaxResponse = cmp.Or(c.MaxResponse, DefaultMaxResponse)
	dialer := &net.Dialer{Timeout: c.ConnectTimeout, Control: control(c.Loopback)}
	return &Client{config: c, dialer: dialer, http: &http.Client{
		Timeout:       c.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  nil, // it would make the connection, and be the address that is looked at
			DialContext:            dialer.DialContext,
			TLSHandshakeTimeout:    c.ConnectTimeout,
			ForceAttemptHTTP2:      true,
			MaxIdleConns:           100,
			MaxIdleConnsPerHost:    100, // as many as deliveries to one endpoint are under way
			IdleConnTimeout:        time.Minute,
			MaxResponseHeaderBytes: 64 << 10,
		},
	}}
}

// guard knows the addresses of IANA's registries of special-purpose addresses.
var guard = ssrf.New(ssrf.WithAnyPort())

// control is a [net.Dialer]'s Control: it is called with the address that a
// connection is about to be made to.
func control(loopback bool) func(network, address string, _ syscall.RawConn) error {
	return func(network, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return refused("%s %s is not an address", network, address)
		}
		return checkAddress(to.Addr(), loopback)
	}
}

func checkAddress(address netip.Addr, loopback bool) error {
	address = address.Unmap() // an IPv4 address in the form of an IPv6 one is that address
	if address.IsLoopback() && loopback {
		return nil
	}
	if guard.SafeAddr(address) != nil {
		return refused("%s is not a public address", address)
	}
	return nil
}

// CheckURL returns the URL if a Client of any hosts would send to it, as far as
// that can be told without looking the host up; loopback is Config.Loopback. The
// error wraps ErrRefused, and does not repeat a user or a query, which may hold
// secrets.
func CheckURL(text string, loopback bool) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, refused("the URL cannot be read")
	}
	address, notAddress := netip.ParseAddr(u.Hostname())
	isLoopback := u.Hostname() == "localhost" || notAddress == nil && address.Unmap().IsLoopback()
	switch {
	case u.Scheme != "https" && u.Scheme != "http", u.Hostname() == "":
		return nil, refused("the URL must begin with https:// and a host")
	case isLoopback && !loopback:
		return nil, refused("%s is this machine, and not a public address", u.Host)
	case u.Scheme == "http" && !isLoopback:
		return nil, refused("%s://%s is without TLS: use https", u.Scheme, u.Host)
	case u.User != nil:
		return nil, refused("the URL of host %s holds a user or a password: leave it out", u.Hostname())
	}
	if notAddress == nil {
		if err := checkAddress(address, loopback); err != nil {
			return nil, err
		}
	}
	return u, nil
}

// Check is CheckURL for the Client's hosts.
func (c *Client) Check(text string) (*url.URL, error) {
	u, err := CheckURL(text, c.config.Loopback)
	if err != nil {
		return nil, err
	}
	if !Allowed(c.config.Hosts, u.Hostname()) {
		return nil, refused("host %q is not on the list of those that may be sent to", u.Hostname())
	}
	return u, nil
}

// Response is what a host answered, whatever its status.
type Response struct {
	Status    int
	Header    http.Header
	Body      []byte // up to MaxResponse
	Truncated bool   // whether there was more
}

// OK reports whether the status is one of success: 200 to 299.
func (r *Response) OK() bool { return r.Status >= 200 && r.Status <= 299 }

// Post sends a body. An error means that there is no response; it wraps
// ErrRefused if there never will be.
func (c *Client) Post(ctx context.Context, to string, header http.Header, body []byte) (*Response, error) {
	u, err := c.Check(to)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, refused("%v", err)
	}
	req.Header = header.Clone()
	resp, err := c.http.Do(req)
	if err != nil {
		// The client's own error repeats the URL.
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err
		}
		return nil, fmt.Errorf("sending to %s: %w", u.Host, err)
	}
	defer resp.Body.Close()
	out := &Response{Status: resp.StatusCode, Header: resp.Header}
	// A body that breaks off takes nothing back of what the status says.
	out.Body, _ = io.ReadAll(io.LimitReader(resp.Body, c.config.MaxResponse+1))
	if int64(len(out.Body)) > c.config.MaxResponse {
		out.Body, out.Truncated = out.Body[:c.config.MaxResponse], true
	}
	return out, nil
}

var hostName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// CheckHost returns an error if an entry of Config.Hosts is neither a host's name
// nor "*." and a name: in lower case, without a port. An IP address is one, too;
// AnyHost is not.
func CheckHost(host string) error {
	name := strings.TrimPrefix(host, "*.")
	if _, err := netip.ParseAddr(host); err == nil {
		return nil
	}
	if len(name) > 253 || !hostName.MatchString(name) {
		return fmt.Errorf(`host %q must be a name in lower case, such as "hooks.example.com", or "*.example.com" for all below it; without https:// and without a port`, host)
	}
	if name != host && !strings.Contains(name, ".") {
		return fmt.Errorf(`host %q would let in all of %q: name a domain below it, such as "*.example.%s"`, host, name, name)
	}
	return nil
}

// Allowed reports whether a host is on a list, as Config.Hosts has them.
func Allowed(hosts []string, host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	return host != "" && slices.ContainsFunc(hosts, func(entry string) bool {
		if domain, ok := strings.CutPrefix(entry, "*."); ok {
			return strings.HasSuffix(host, "."+domain)
		}
		return entry == AnyHost || entry == host
	})
}
