package dispatch

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

// nameServer is a DNS server that answers each question for addresses as it has
// been told, one answer after the other, and keeps nobody from asking again: the
// time to live is zero.
type nameServer struct {
	conn net.PacketConn
	mu   sync.Mutex
	// zone holds the answers of a name in their order, each a list of addresses.
	zone  map[string][]string
	count map[string]int
}

func newNameServer(t *testing.T) *nameServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	s := &nameServer{conn: conn, zone: map[string][]string{}, count: map[string]int{}}
	go s.serve()
	return s
}

// answers sets what a name resolves to, one text per look-up, round and round.
func (s *nameServer) answers(name string, lists ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.zone[name] = lists
}

// asked returns how often the name has been looked up.
func (s *nameServer) asked(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count[name]
}

// resolver asks this server alone.
func (s *nameServer) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", s.conn.LocalAddr().String())
	}}
}

func (s *nameServer) serve() {
	buffer := make([]byte, 1500)
	for {
		n, from, err := s.conn.ReadFrom(buffer)
		if err != nil {
			return
		}
		var message dnsmessage.Message
		if message.Unpack(buffer[:n]) != nil || len(message.Questions) != 1 {
			continue
		}
		s.answer(&message)
		if packed, err := message.Pack(); err == nil {
			_, _ = s.conn.WriteTo(packed, from)
		}
	}
}

// answer turns a question into its answer. A look-up asks for A and AAAA, in any
// order: the A counts.
func (s *nameServer) answer(message *dnsmessage.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	message.Response, message.Authoritative, message.Additionals = true, true, nil
	question := message.Questions[0]
	name := question.Name.String()
	lists := s.zone[name]
	if len(lists) == 0 {
		message.RCode = dnsmessage.RCodeNameError
		return
	}
	texts := lists[s.count[name]%len(lists)]
	if question.Type == dnsmessage.TypeA {
		s.count[name]++
	}
	for text := range strings.SplitSeq(texts, ",") {
		address := netip.MustParseAddr(text)
		header := dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET}
		switch {
		case address.Is4() && question.Type == dnsmessage.TypeA:
			message.Answers = append(message.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: address.As4()}})
		case address.Is6() && question.Type == dnsmessage.TypeAAAA:
			message.Answers = append(message.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: address.As16()}})
		}
	}
}
