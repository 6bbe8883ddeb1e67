package egress_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/penstock-dev/penstock/functions/egress"
)

const (
	secret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	newSecret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
)

func TestTheSignatureIsThatOfTheSpecificationsExample(t *testing.T) {
	s, err := egress.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{}
	if err := s.Sign(header, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 5e8), []byte(`{"test": 2432232314}`)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330",
		"webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
	} {
		if got := header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestWhileASecretChangesReceiversOfTheOldAndOfTheNewVerify(t *testing.T) {
	s, err := egress.NewSigner(newSecret + " " + secret + "\n")
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{}
	if err := s.Sign(header, "m", time.Now(), []byte("body")); err != nil {
		t.Fatal(err)
	}
	for _, known := range []string{secret, newSecret} {
		verifier, err := standardwebhooks.NewWebhook(known)
		if err != nil {
			t.Fatal(err)
		}
		if err := verifier.Verify([]byte("body"), header); err != nil {
			t.Error(err)
		}
		if verifier.Verify([]byte("another"), header) == nil {
			t.Error("another body is verified")
		}
	}
}

func TestASecretThatIsNoneIsNotTold(t *testing.T) {
	for _, text := range []string{"", " \n", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!", "whsec_c2hvcnQ=", secret + " whsec_c2hvcnQ=", "whsec_" + strings.Repeat("YWFh", 22)} {
		_, err := egress.NewSigner(text)
		if err == nil {
			t.Errorf("%q is taken", text)
		} else if strings.Contains(err.Error(), "c2hvcnQ") || strings.Contains(err.Error(), "MfKQ") {
			t.Errorf("the error tells the secret: %v", err)
		}
	}
}
