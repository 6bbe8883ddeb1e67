package topictags

import (
	"maps"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// What AWS takes as the value of a tag: Lambda, TagResource.
var taggable = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$`)

func TestDeclarationsAreWrittenAsTagsAndReadBack(t *testing.T) {
	long := strings.Repeat("a", 200)
	for name, tc := range map[string]struct {
		d    Declaration
		tags map[string]string
	}{
		"one name": {
			Declaration{Topics: []string{"payment"}},
			map[string]string{"penstock:topics": "payment"},
		},
		"patterns and delimiters survive the narrow alphabet": {
			Declaration{Topics: []string{"payment.*", "a,b", "x=1", "50%", "two words"}},
			map[string]string{"penstock:topics": "payment.=2A a=2Cb x=3D1 50=25 two=20words"},
		},
		"what is not ASCII": {
			Declaration{Topics: []string{"größe"}},
			map[string]string{"penstock:topics": "gr=C3=B6=C3=9Fe"},
		},
		"a namespace, and no topics": {
			Declaration{Namespace: "billing"},
			map[string]string{"penstock:namespace": "billing"},
		},
		"more than one tag holds": {
			Declaration{Topics: []string{long + "1", "short", long + "2"}},
			map[string]string{"penstock:topics": long + "1 short", "penstock:topics:2": long + "2"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			tc.d.Environment, tc.d.Function = "shop-prod", "printer"
			want := map[string]string{"penstock:environment": "shop-prod", "penstock:function": "printer"}
			maps.Copy(want, tc.tags)
			got, err := tc.d.Tags()
			if err != nil {
				t.Fatal(err)
			}
			if !maps.Equal(got, want) {
				t.Fatalf("tags are\n%v, want\n%v", got, want)
			}
			got["team"] = "payments" // another's
			read, err := Parse(got)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(read, tc.d) {
				t.Errorf("read back\n%+v, want\n%+v", read, tc.d)
			}
		})
	}
}

func TestDeclarationsThatTagsCannotHoldAreRefused(t *testing.T) {
	many := make([]string, 11)
	for i := range many {
		many[i] = strings.Repeat("x", 200) + string(rune('a'+i))
	}
	for name, tc := range map[string]struct {
		d    Declaration
		says string
	}{
		"empty topic":         {Declaration{Topics: []string{""}}, "a topic is empty"},
		"twice":               {Declaration{Topics: []string{"a", "b", "a"}}, `topic "a" is there twice`},
		"not UTF-8":           {Declaration{Topics: []string{"\xff"}}, "not UTF-8"},
		"control":             {Declaration{Topics: []string{"a\nb"}}, "control character"},
		"outer space":         {Declaration{Topics: []string{"a "}}, "begins or ends with a space"},
		"too long":            {Declaration{Topics: []string{strings.Repeat("x", 257)}}, "takes 257 characters"},
		"too long as escaped": {Declaration{Topics: []string{strings.Repeat("*", 86)}}, "takes 258 characters"},
		"too many":            {Declaration{Topics: many}, "11 topics need 11 tags"},
		"namespace":           {Declaration{Namespace: "bill.ing"}, `namespace "bill.ing"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tc.d.Tags()
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("the error is %v, want one that says %q", err, tc.says)
			}
		})
	}
}

func TestTagsThatAreNotOfTheCDKAppAreErrors(t *testing.T) {
	for name, tc := range map[string]struct {
		tags map[string]string
		says string
	}{
		"no environment": {map[string]string{FunctionKey: "a"}, EnvironmentKey},
		"no function":    {map[string]string{EnvironmentKey: "a"}, FunctionKey},
		"no escape":      {map[string]string{EnvironmentKey: "a", FunctionKey: "b", "penstock:topics": "x=ZZ"}, `"=ZZ" is no escape`},
		"cut escape":     {map[string]string{EnvironmentKey: "a", FunctionKey: "b", "penstock:topics": "x=2"}, `"=" does not stand`},
		"two spaces":     {map[string]string{EnvironmentKey: "a", FunctionKey: "b", "penstock:topics": "x  y"}, "a topic is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(tc.tags)
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("the error is %v, want one that says %q", err, tc.says)
			}
		})
	}
}

func FuzzTopicsSurviveTags(f *testing.F) {
	f.Add("payment.*", "größe", "a,b = c")
	f.Add("a", "b", "c")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		d := Declaration{Environment: "shop-prod", Function: "printer", Topics: []string{a, b, c}}
		tags, err := d.Tags()
		if err != nil {
			return // said in Validate's tests
		}
		for key, value := range tags {
			if !taggable.MatchString(value) {
				t.Errorf("AWS does not take %s = %q", key, value)
			}
		}
		if len(tags) > MaxTags {
			t.Errorf("%d tags, more than MaxTags", len(tags))
		}
		read, err := Parse(tags)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(read, d) {
			t.Errorf("read back %+v, want %+v", read, d)
		}
	})
}
