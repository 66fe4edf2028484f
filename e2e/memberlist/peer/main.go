// Command peer is one node of a memberlist ring made of HashiCorp's own library, for tests. It prints what happens as JSON, one
// object a line, and reads commands from standard input: "members", "join ADDRESS:PORT", "meta TEXT", "leave" and "quit". It
// ends when standard input does, without leaving. go.mod builds it with v0.6.0 and v0.1.7.mod with v0.1.7 of the library.
package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// member is a node as it is printed; Meta is hex.
type member struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	Port    uint16 `json:"port"`
	Meta    string `json:"meta"`
}

// line is everything that is printed; At is microseconds since 1970.
type line struct {
	Event   string   `json:"event"`
	At      int64    `json:"at"`
	Member  *member  `json:"member,omitempty"`
	Members []member `json:"members,omitempty"`
	Joined  *int     `json:"joined,omitempty"`
	Error   string   `json:"error,omitempty"`
}

var output sync.Mutex

func print(l line) {
	output.Lock()
	defer output.Unlock()
	l.At = time.Now().UnixMicro()
	if err := json.NewEncoder(os.Stdout).Encode(l); err != nil {
		os.Exit(1) // Nobody listens any more.
	}
}

func describe(n *memberlist.Node) member {
	return member{Name: n.Name, Address: n.Addr.String(), Port: n.Port, Meta: hex.EncodeToString(n.Meta)}
}

func failure(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

type events struct{}

func (events) NotifyJoin(n *memberlist.Node)   { notify("join", n) }
func (events) NotifyLeave(n *memberlist.Node)  { notify("leave", n) }
func (events) NotifyUpdate(n *memberlist.Node) { notify("update", n) }

func notify(event string, n *memberlist.Node) {
	m := describe(n)
	print(line{Event: event, Member: &m})
}

// delegate gives the node its meta; everything else of the interface is unused.
type delegate struct {
	lock sync.Mutex
	meta []byte
}

func (d *delegate) NodeMeta(limit int) []byte {
	d.lock.Lock()
	defer d.lock.Unlock()
	return d.meta[:min(limit, len(d.meta))]
}
func (d *delegate) set(meta string) {
	d.lock.Lock()
	defer d.lock.Unlock()
	d.meta = []byte(meta)
}
func (*delegate) NotifyMsg([]byte)                  {}
func (*delegate) GetBroadcasts(int, int) [][]byte   { return nil }
func (*delegate) LocalState(bool) []byte            { return nil }
func (*delegate) MergeRemoteState(_ []byte, _ bool) {}

func main() {
	config := memberlist.DefaultLANConfig()
	flag.StringVar(&config.Name, "name", "", "this node's name")
	flag.StringVar(&config.BindAddr, "address", "127.0.0.1", "to bind and to advertise")
	flag.IntVar(&config.BindPort, "port", 7946, "to bind and to advertise, UDP and TCP")
	key := flag.String("key", "", "secret key in hex; none: no encryption")
	label := flag.String("label", "", "label of the ring (not before v0.3.0)")
	meta := flag.String("meta", "", "this node's meta")
	flag.Parse()

	config.AdvertisePort = config.BindPort
	config.LogOutput = os.Stderr
	config.Events = events{}
	state := &delegate{meta: []byte(*meta)}
	config.Delegate = state
	secret, err := hex.DecodeString(*key)
	if err == nil {
		config.SecretKey = secret
		err = setLabel(config, *label)
	}
	var list *memberlist.Memberlist
	if err == nil {
		list, err = memberlist.Create(config)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "Cannot start peer:", err)
		os.Exit(1)
	}
	print(line{Event: "ready"})
	serve(list, state)
}

func serve(list *memberlist.Memberlist, state *delegate) {
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		command, argument, _ := strings.Cut(input.Text(), " ")
		switch command {
		case "members":
			all := []member{}
			for _, n := range list.Members() {
				all = append(all, describe(n))
			}
			print(line{Event: "members", Members: all})
		case "join":
			joined, err := list.Join([]string{argument})
			print(line{Event: "joined", Joined: &joined, Error: failure(err)})
		case "meta":
			state.set(argument)
			print(line{Event: "metaSet", Error: failure(list.UpdateNode(5 * time.Second))})
		case "leave":
			print(line{Event: "left", Error: failure(list.Leave(5 * time.Second))})
		case "quit":
			return
		default:
			print(line{Event: "unknownCommand", Error: command})
		}
	}
}
