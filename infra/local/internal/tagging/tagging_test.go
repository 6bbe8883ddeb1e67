package tagging_test

import (
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi/types"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/tagging"
)

// client is AWS's own, of a service that knows some functions.
func client(t *testing.T, functions map[string]map[string]string) *sdk.Client {
	t.Helper()
	mux := awswire.NewMux(slog.New(slog.DiscardHandler))
	mux.JSON(tagging.Target, "1.1", tagging.Operations(func() map[string]map[string]string { return functions }))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return sdk.New(sdk.Options{Region: "us-east-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")})
}

func filter(key string, values ...string) types.TagFilter {
	return types.TagFilter{Key: &key, Values: values}
}

func TestFunctionsAreFoundByTheirTags(t *testing.T) {
	c := client(t, map[string]map[string]string{
		"a": {"env": "prod", "team": "x"}, "b": {"env": "dev", "team": "x"}, "c": {"team": "y"},
	})
	for name, tc := range map[string]struct {
		filters []types.TagFilter
		want    string
	}{
		"all":                         {nil, "a b c"},
		"with a key":                  {[]types.TagFilter{filter("env")}, "a b"},
		"with one of several values":  {[]types.TagFilter{filter("env", "prod", "test")}, "a"},
		"that pass all filters":       {[]types.TagFilter{filter("team", "x"), filter("env", "dev")}, "b"},
		"with a value that none has":  {[]types.TagFilter{filter("team", "z")}, ""},
		"with a key of another's one": {[]types.TagFilter{filter("Team")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := c.GetResources(t.Context(), &sdk.GetResourcesInput{ResourceTypeFilters: []string{"lambda:function"}, TagFilters: tc.filters})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, m := range out.ResourceTagMappingList {
				got = append(got, *m.ResourceARN)
			}
			if strings.Join(got, " ") != tc.want {
				t.Errorf("found are %q, want %q", got, tc.want)
			}
		})
	}
	out, err := c.GetResources(t.Context(), &sdk.GetResourcesInput{ResourceTypeFilters: []string{"lambda:function"}, TagFilters: []types.TagFilter{filter("env", "prod")}})
	if err != nil {
		t.Fatal(err)
	}
	var tags []string
	for _, tag := range out.ResourceTagMappingList[0].Tags {
		tags = append(tags, *tag.Key+"="+*tag.Value)
	}
	if want := []string{"env=prod", "team=x"}; !slices.Equal(tags, want) {
		t.Errorf("the tags are %q, want %q", tags, want)
	}
}

func TestThreeHundredFunctionsAreThreePages(t *testing.T) {
	functions := map[string]map[string]string{}
	for i := range 300 {
		functions[fmt.Sprint("f", i)] = map[string]string{"env": "prod"}
	}
	pages := sdk.NewGetResourcesPaginator(client(t, functions), &sdk.GetResourcesInput{ResourceTypeFilters: []string{"lambda:function"}, ResourcesPerPage: aws.Int32(100)})
	calls := 0
	seen := map[string]bool{}
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		calls++
		for _, m := range page.ResourceTagMappingList {
			seen[*m.ResourceARN] = true
		}
	}
	if calls != 3 || len(seen) != 300 {
		t.Errorf("%d calls told of %d functions", calls, len(seen))
	}
}

func TestWhatIsOutsideItsScopeIsRefused(t *testing.T) {
	c := client(t, nil)
	lambda := []string{"lambda:function"}
	for says, in := range map[string]*sdk.GetResourcesInput{
		"ResourceTypeFilters": {},
		"is not supported":    {ResourceTypeFilters: []string{"sqs:queue"}},
		"want a key":          {ResourceTypeFilters: lambda, TagFilters: []types.TagFilter{{}}},
		"21 values":           {ResourceTypeFilters: lambda, TagFilters: []types.TagFilter{filter("k", make([]string, 21)...)}},
		"51 keys":             {ResourceTypeFilters: lambda, TagFilters: make([]types.TagFilter, 51)},
		"ResourcesPerPage":    {ResourceTypeFilters: lambda, ResourcesPerPage: aws.Int32(101)},
		"PaginationToken":     {ResourceTypeFilters: lambda, PaginationToken: aws.String("made up")},
		"TagsPerPage":         {ResourceTypeFilters: lambda, TagsPerPage: aws.Int32(100)},
	} {
		if _, err := c.GetResources(t.Context(), in); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("the error is %v, want one that says %q", err, says)
		}
	}
}
