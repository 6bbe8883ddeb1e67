package sessiontest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/penstock-dev/penstock/functions/session"
)

// Abuse is a token that nobody may take for a session.
type Abuse struct {
	Name  string
	Token string
}

// part is a header, or claims.
type part map[string]any

func (p part) with(name string, value any) part {
	out := maps.Clone(p)
	out[name] = value
	return out
}

func (p part) without(name string) part {
	out := maps.Clone(p)
	delete(out, name)
	return out
}

var encoding = base64.RawURLEncoding

func encode(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // a map of strings and numbers
	}
	return encoding.EncodeToString(text)
}

// Abuses are tokens made of a good session of an environment, by one who knows
// how; and some by one who even has the key, of which current is the text of the
// secret. All are abuses at the time of the call.
func Abuses(environment, good, current string) ([]Abuse, error) {
	id, private, err := session.KeyIn(current)
	if err != nil {
		return nil, err
	}
	parts := strings.Split(good, ".")
	if len(parts) != 3 {
		return nil, fmt.Errorf("sessiontest: the good session has %d parts", len(parts))
	}
	public := private.Public().(ed25519.PublicKey)
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, err
	}
	_, stranger, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	weak, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}

	now := time.Now().Unix()
	header := part{"alg": "EdDSA", "kid": id, "typ": session.Type}
	claims := part{
		"iss": "penstock:" + environment, "aud": []string{environment}, "sub": "user-17", "jti": "0199d5e2-57a4-7b6c-9f53-3b1e2c4d5a6f",
		"event": "e", "function": "f", "iat": now, "nbf": now, "exp": now + 900,
	}
	raw := func(header, claims string) string {
		text := encoding.EncodeToString([]byte(header)) + "." + encoding.EncodeToString([]byte(claims))
		return text + "." + encoding.EncodeToString(ed25519.Sign(private, []byte(text)))
	}
	sign := func(h, c part) string {
		text := encode(h) + "." + encode(c)
		return text + "." + encoding.EncodeToString(ed25519.Sign(private, []byte(text)))
	}
	hs256 := func(key []byte) string {
		text := encode(header.with("alg", "HS256")) + "." + parts[1]
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(text))
		return text + "." + encoding.EncodeToString(mac.Sum(nil))
	}
	flipped := func(part int, at int) string {
		text, _ := encoding.DecodeString(parts[part])
		text[(at+len(text))%len(text)] ^= 1
		changed := append([]string{}, parts...)
		changed[part] = encoding.EncodeToString(text)
		return strings.Join(changed, ".")
	}
	claimed := func(edit func(part)) string { // claims of the good session, with its signature
		var c part
		text, _ := encoding.DecodeString(parts[1])
		if json.Unmarshal(text, &c) != nil {
			return ""
		}
		edit(c)
		return parts[0] + "." + encode(c) + "." + parts[2]
	}
	byStranger := func(h part) string {
		text := encode(h) + "." + encode(claims)
		return text + "." + encoding.EncodeToString(ed25519.Sign(stranger, []byte(text)))
	}
	byRSA, err := signRSA(weak, id, encode(claims))
	if err != nil {
		return nil, err
	}
	jwk := part{"kty": "OKP", "crv": "Ed25519", "x": encoding.EncodeToString(stranger.Public().(ed25519.PublicKey))}

	abuses := []Abuse{
		// No token at all.
		{"empty", ""},
		{"one word", "session"},
		{"two dots alone", ".."},
		{"the header alone", parts[0]},
		{"without its signature", parts[0] + "." + parts[1]},
		{"with an empty signature", parts[0] + "." + parts[1] + "."},
		{"with an empty payload", parts[0] + ".." + parts[2]},
		{"with a fourth part", good + "." + parts[2]},
		{"five parts, as an encrypted one", good + "." + parts[1] + "." + parts[2]},
		{"JSON serialization", `{"protected":"` + parts[0] + `","payload":"` + parts[1] + `","signature":"` + parts[2] + `"}`},
		{"oversized", good + strings.Repeat("A", 5000)},
		{"an oversized claim", sign(header, claims.with("sub", strings.Repeat("u", 600)))},

		// Not the one form of its text.
		{"with padding", good + "=="},
		{"with a line break in it", parts[0] + ".\n" + parts[1] + "." + parts[2]},
		{"with a line break behind it", good + "\n"},
		{"with a space before it", " " + good},
		{"in the other base64", base64.StdEncoding.EncodeToString([]byte(good))},
		{"with other bits that the signature's last letter does not use", good[:len(good)-1] + string(next(good[len(good)-1]))},

		// Changed.
		{"its header changed by a bit", flipped(0, 10)},
		{"its payload changed by a bit", flipped(1, 20)},
		{"its signature's first bit changed", flipped(2, 0)},
		{"its signature's last byte changed", flipped(2, -1)},
		{"its signature all zeros", parts[0] + "." + parts[1] + "." + encoding.EncodeToString(make([]byte, 64))},
		{"its signature cut short", parts[0] + "." + parts[1] + "." + encoding.EncodeToString(make([]byte, 63))},
		{"another user put in", claimed(func(c part) { c["sub"] = "user-18" })},
		{"its expiry put off", claimed(func(c part) { c["exp"] = now + 1_000_000 })},
		{"another environment put in", claimed(func(c part) { c["aud"] = []string{"other"} })},
		{"the signature of another header", encode(header.with("x", "y")) + "." + parts[1] + "." + parts[2]},

		// Another algorithm.
		{"alg none", encode(header.with("alg", "none")) + "." + parts[1] + "."},
		{"alg none, with its signature", encode(header.with("alg", "none")) + "." + parts[1] + "." + parts[2]},
		{"alg None", encode(header.with("alg", "None")) + "." + parts[1] + "." + parts[2]},
		{"alg missing", encode(header.without("alg")) + "." + parts[1] + "." + parts[2]},
		{"alg a number", encode(header.with("alg", 1)) + "." + parts[1] + "." + parts[2]},
		{"HS256 with the public key as its secret", hs256(public)},
		{"HS256 with the public key as PEM", hs256(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))},
		{"HS256 with an empty secret", hs256(nil)},
		{"RS256 by a key of one's own", byRSA},
		{"Ed25519 by another name", sign(header.with("alg", "Ed25519"), claims)},

		// Another key.
		{"an unknown kid", sign(header.with("kid", "unknown"), claims)},
		{"no kid", sign(header.without("kid"), claims)},
		{"an empty kid", sign(header.with("kid", ""), claims)},
		{"a kid that is a path", sign(header.with("kid", "../../dev/null"), claims)},
		{"another's key under the right kid", byStranger(header)},
		{"a key in its own header", byStranger(header.with("jwk", jwk))},
		{"a link to a key", byStranger(header.with("jku", "https://attacker.example/jwks.json"))},
		{"a critical header that nobody knows", sign(header.with("crit", []string{"exp"}).with("exp", now+900), claims)},
		{"a payload said not to be encoded", sign(header.with("crit", []string{"b64"}).with("b64", false), claims)},
		{"the header twice alg", raw(`{"alg":"none","alg":"EdDSA","kid":"`+id+`","typ":"`+session.Type+`"}`, string(mustJSON(claims)))},

		// Signed by the very key, and yet no session.
		{"of another type", sign(header.with("typ", "JWT"), claims)},
		{"of no type", sign(header.without("typ"), claims)},
		{"expired", sign(header, claims.with("iat", now-1000).with("nbf", now-1000).with("exp", now-1))},
		{"not valid yet", sign(header, claims.with("nbf", now+120).with("iat", now+120).with("exp", now+900))},
		{"issued in the future", sign(header, claims.with("iat", now+120))},
		{"valid for a day", sign(header, claims.with("exp", now+86_400))},
		{"without an expiry", sign(header, claims.without("exp"))},
		{"without a beginning", sign(header, claims.without("nbf"))},
		{"without a time of issue", sign(header, claims.without("iat"))},
		{"its expiry a text", sign(header, claims.with("exp", "tomorrow"))},
		{"another environment's", sign(header, claims.with("aud", []string{"other-prod"}).with("iss", "penstock:other-prod"))},
		{"for this environment and another", sign(header, claims.with("aud", []string{environment, "other-prod"}))},
		{"for no environment", sign(header, claims.without("aud"))},
		{"of another issuer", sign(header, claims.with("iss", "https://accounts.example.com"))},
		{"of no issuer", sign(header, claims.without("iss"))},
		{"of no user", sign(header, claims.without("sub"))},
		{"of an empty user", sign(header, claims.with("sub", ""))},
		{"of a user that is a list", sign(header, claims.with("sub", []string{"user-17"}))},
		{"of no event", sign(header, claims.without("event"))},
		{"of no function", sign(header, claims.without("function"))},
		{"without an id", sign(header, claims.without("jti"))},
		{"with an id that is no UUID", sign(header, claims.with("jti", "1"))},
		{"two users", raw(string(mustJSON(header)), strings.Replace(string(mustJSON(claims)), `"sub"`, `"sub":"user-18","sub"`, 1))},
		{"a payload that is no object", raw(string(mustJSON(header)), `"session"`)},
		{"a payload that is no JSON", raw(string(mustJSON(header)), `{`)},
	}
	return abuses, nil
}

// next is another letter whose highest bits, those that the last letter of 64
// bytes in base64 uses, are the same.
func next(letter byte) byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return alphabet[bytes.IndexByte([]byte(alphabet), letter)^1]
}

func mustJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // a map of strings and numbers
	}
	return text
}

func signRSA(key *rsa.PrivateKey, id, payload string) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key, KeyID: id}}, (&jose.SignerOptions{}).WithType(session.Type))
	if err != nil {
		return "", err
	}
	text, err := encoding.DecodeString(payload)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(text)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}
