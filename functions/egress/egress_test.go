package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// server answers as answer says, and counts the requests that reach it.
func server(t *testing.T, start func(*httptest.Server), answer http.HandlerFunc) (*httptest.Server, *atomic.Int32) {
	t.Helper()
	var reached atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached.Add(1)
		answer(w, r)
	}))
	s.Config.ErrorLog = nil
	start(s)
	t.Cleanup(s.Close)
	return s, &reached
}

func ok(http.ResponseWriter, *http.Request) {}

func TestAnAddressThatIsNotPublicIsRefused(t *testing.T) {
	for _, address := range []string{
		"127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "169.254.170.2",
		"169.254.0.1", "100.64.0.1", "192.0.0.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
		"::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "::ffff:169.254.169.254", "2001:db8::1", "2002:7f00:1::",
	} {
		if err := control(false)("tcp", net.JoinHostPort(address, "443"), nil); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", address, err)
		}
		// What Loopback allows is the machine, and nothing of its network.
		ofLoopback := strings.Contains(" 127.0.0.1 127.8.8.8 ::1 ::ffff:127.0.0.1 ", " "+address+" ")
		if err := control(true)("tcp", net.JoinHostPort(address, "443"), nil); (err == nil) != ofLoopback {
			t.Errorf("%s, with loopback allowed: %v", address, err)
		}
	}
	for _, address := range []string{"8.8.8.8", "52.94.5.1", "172.32.0.1", "2600:9000::1", "::ffff:8.8.8.8"} {
		if err := control(false)("tcp", net.JoinHostPort(address, "8443"), nil); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// names is a resolver of one address, which counts the questions.
func names(t *testing.T, address string) (*net.Resolver, *atomic.Int32) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	var asked atomic.Int32
	go func() {
		packet := make([]byte, 1024)
		for {
			n, from, err := conn.ReadFrom(packet)
			if err != nil {
				return
			}
			var question dnsmessage.Message
			if question.Unpack(packet[:n]) != nil || len(question.Questions) != 1 {
				continue
			}
			q := question.Questions[0]
			answer := dnsmessage.Message{Header: dnsmessage.Header{ID: question.ID, Response: true}, Questions: question.Questions}
			if q.Type == dnsmessage.TypeA {
				asked.Add(1)
				answer.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
					Body:   &dnsmessage.AResource{A: netip.MustParseAddr(address).As4()},
				}}
			}
			if packed, err := answer.Pack(); err == nil {
				_, _ = conn.WriteTo(packed, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}, &asked
}

func TestANameOnTheListThatLeadsToLoopbackIsNotConnectedTo(t *testing.T) {
	s, reached := server(t, (*httptest.Server).StartTLS, ok)
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	c := New(Config{Hosts: []string{"*.example.com"}})
	resolver, asked := names(t, "127.0.0.1")
	c.dialer.Resolver = resolver
	// Trusted, so that it is nothing but the address that stops it.
	c.http.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: pool(s)}
	// Whatever was known of the name before, it is the address of the connection
	// that counts: each time anew.
	for range 2 {
		_, err := c.Post(t.Context(), "https://rebind.example.com:"+port, nil, nil)
		if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "127.0.0.1 is not a public address") {
			t.Errorf("got %v", err)
		}
	}
	if reached.Load() != 0 || asked.Load() < 2 {
		t.Errorf("%d requests arrived; the name was asked for %d times", reached.Load(), asked.Load())
	}
	// The same with what is for one machine alone.
	c = New(Config{Hosts: []string{"*.example.com"}, Loopback: true})
	c.dialer.Resolver = resolver
	c.http.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: pool(s)}
	if resp, err := c.Post(t.Context(), "https://rebind.example.com:"+port, nil, nil); err != nil || !resp.OK() || reached.Load() != 1 {
		t.Errorf("got %v, %v; %d requests arrived", resp, err, reached.Load())
	}
}

func pool(s *httptest.Server) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return pool
}

func TestWhatAClientTakes(t *testing.T) {
	hosts := []string{"hooks.example.com", "*.shop.example", "52.94.5.1", "127.0.0.1"}
	for _, c := range []struct {
		url, fault string
		loopback   bool
	}{
		{url: "https://hooks.example.com/a?b=c"},
		{url: "https://HOOKS.example.com:8443/"},
		{url: "https://hooks.example.com./"},
		{url: "https://a.b.shop.example"},
		{url: "https://52.94.5.1/"},
		{url: "https://rebind.shop.example/", loopback: true},
		{url: "http://localhost:8080/", loopback: true, fault: "not on the list"},
		{url: "http://127.0.0.1:8080/hook", loopback: true},
		{url: "http://127.0.0.1:8080/hook", fault: "this machine"},
		{url: "https://127.0.0.1:8080/hook", fault: "this machine"},
		{url: "https://localhost/", fault: "this machine"},
		{url: "https://[::1]/", fault: "this machine"},
		{url: "https://[::ffff:127.0.0.1]/", fault: "this machine"},
		{url: "https://169.254.169.254/latest/meta-data", fault: "not a public address"},
		{url: "http://169.254.169.254/latest/meta-data", loopback: true, fault: "without TLS"},
		{url: "https://10.0.0.1/", loopback: true, fault: "not a public address"},
		{url: "https://[64:ff9b::a9fe:a9fe]/", loopback: true, fault: "not a public address"},
		{url: "https://0.0.0.0/", loopback: true, fault: "not a public address"},
		{url: "http://hooks.example.com/", loopback: true, fault: "without TLS"},
		{url: "http://hooks.example.com/", fault: "without TLS"},
		{url: "https://example.com/", fault: "not on the list"},
		{url: "https://x.hooks.example.com/", fault: "not on the list"},
		{url: "https://shop.example/", fault: "not on the list"},
		{url: "https://evilshop.example/", fault: "not on the list"},
		{url: "https://hooks.example.com.evil.example/", fault: "not on the list"},
		{url: "https://hooks.example.com@evil.example/", fault: "user or a password"},
		{url: "https://ann:secret@hooks.example.com/", fault: "user or a password"},
		{url: "file:///etc/passwd", fault: "must begin with https://"},
		{url: "gopher://hooks.example.com/", fault: "must begin with https://"},
		{url: "hooks.example.com", fault: "must begin with https://"},
		{url: "https://", fault: "must begin with https://"},
		{url: "https://[::1", fault: "cannot be read"},
		{url: "", fault: "must begin with https://"},
	} {
		_, err := New(Config{Hosts: hosts, Loopback: c.loopback}).Check(c.url)
		if (err == nil) != (c.fault == "") || err != nil && (!errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), c.fault)) {
			t.Errorf("%s: got %v, want %q", c.url, err, c.fault)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error tells the password: %v", c.url, err)
		}
	}
	if _, err := New(Config{}).Check("https://hooks.example.com"); err == nil {
		t.Error("an empty list lets everything pass")
	}
	if _, err := New(Config{Hosts: []string{AnyHost}}).Check("https://hooks.example.com"); err != nil {
		t.Error(err)
	}
}

func TestARedirectIsAResponse(t *testing.T) {
	elsewhere, reached := server(t, (*httptest.Server).Start, ok)
	s, _ := server(t, (*httptest.Server).Start, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	})
	resp, err := New(Config{Hosts: []string{AnyHost}, Loopback: true}).Post(t.Context(), s.URL, nil, nil)
	if err != nil || resp.Status != http.StatusTemporaryRedirect || resp.OK() || reached.Load() != 0 {
		t.Errorf("got %+v, %v; %d requests were redirected", resp, err, reached.Load())
	}
}

func TestTheEnvironmentsProxyIsNotUsed(t *testing.T) {
	proxy, reached := server(t, (*httptest.Server).Start, ok)
	t.Setenv("HTTPS_PROXY", proxy.URL)
	t.Setenv("https_proxy", proxy.URL)
	c := New(Config{Hosts: []string{AnyHost}, Loopback: true})
	c.dialer.Resolver, _ = names(t, "127.0.0.1")
	_, _ = c.Post(t.Context(), "https://hooks.example.com:1/", nil, nil)
	if reached.Load() != 0 {
		t.Error("the proxy was asked")
	}
}

func TestABodyIsReadUpToALimit(t *testing.T) {
	s, _ := server(t, (*httptest.Server).Start, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprint(w, r.Method, " ", r.Header.Get("X-Call-Id"), " ", string(body), strings.Repeat("x", 100))
	})
	for limit, truncated := range map[int64]bool{13: true, 112: true, 113: false, 0: false} {
		resp, err := New(Config{Hosts: []string{AnyHost}, Loopback: true, MaxResponse: limit}).
			Post(t.Context(), s.URL, http.Header{"X-Call-Id": {"7"}}, []byte("result"))
		if err != nil || resp.Truncated != truncated || limit > 0 && int64(len(resp.Body)) > limit || !strings.HasPrefix(string(resp.Body), "POST 7 result") {
			t.Errorf("limit %d: got %+v, %v", limit, resp, err)
		}
	}
}

func TestAHostThatDoesNotAnswerIsGivenUp(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	_, err = New(Config{Hosts: []string{AnyHost}, Loopback: true, Timeout: 50 * time.Millisecond}).Post(t.Context(), "http://"+silent.Addr().String()+"/?token=secret", nil, nil)
	if err == nil || errors.Is(err, ErrRefused) || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
}

func TestEntriesOfAList(t *testing.T) {
	for _, host := range []string{"example.com", "*.example.com", "localhost", "a-b.c", "127.0.0.1", "::1"} {
		if err := CheckHost(host); err != nil {
			t.Errorf("%q: %v", host, err)
		}
	}
	for _, host := range []string{"", "*", "*.com", "*.*.example.com", "a.*.example.com", "https://example.com", "example.com:443", "Example.com", "example.com/", "-a.com", "a..b", "a_b.com", strings.Repeat("a", 64) + ".com"} {
		if CheckHost(host) == nil {
			t.Errorf("%q is taken", host)
		}
	}
}
