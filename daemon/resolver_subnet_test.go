package daemon

import (
	"fmt"
	"testing"

	"onoma/config"
)

func TestSubnetsOf(t *testing.T) {
	for text, want := range map[string]string{
		"": "{[] 24 56 false}",
		"client-subnet: {zones: [cdn.test, .], ipv4: 16, from-clients: true}": "{[cdn.test. .] 16 56 true}",
	} {
		c, err := config.Parse("onoma.yaml", fmt.Appendf(nil, "resolver:\n  listen: [\"127.0.0.1:53\"]\n  %s\n", text), config.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(subnetsOf(&c.Resolver.ClientSubnet)); got != want {
			t.Errorf("%s\n got: %s\nwant: %s", text, got, want)
		}
	}
	if _, err := config.Parse("onoma.yaml", []byte("resolver: {listen: [\"127.0.0.1:53\"], client-subnet: {zones: [.], ipv4: 32}}\n"), config.Options{}); err == nil {
		t.Error("whole addresses may be told")
	}
}
