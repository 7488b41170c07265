// Answers each call of the application demo, plays a sound, reads digits up to #, and hangs up.
package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
	"github.com/tidwall/gjson"
)

var served sync.Map // By dialog: an AppStart may come twice.

func execute(bus *nats.Conn, dialog, method, url string) error {
	command := map[string]string{"unique_id": nuid.Next(), "url": url, "method": method, "body": ""}
	payload, _ := json.Marshal(command)
	answer, err := bus.Request("commands_"+dialog, payload, 15*time.Second)
	if err == nil && gjson.GetBytes(answer.Data, "status_code").Int() >= 400 {
		err = fmt.Errorf("%s %s: %s", method, url, answer.Data)
	}
	return err
}

func serve(bus *nats.Conn, dialog, channel string) {
	path := "/channels/" + url.QueryEscape(channel) // A plus is a blank there, too.
	digits := ""
	bus.Subscribe("events_"+dialog, func(message *nats.Msg) { // This accepts the call.
		var err error
		event := gjson.ParseBytes(message.Data)
		switch event.Get("type").String() {
		case "StasisStart":
			if err = execute(bus, dialog, "POST", path+"/answer"); err == nil {
				err = execute(bus, dialog, "POST", path+"/play?media=sound:hello-world")
			}
		case "ChannelDtmfReceived":
			digits += gjson.Get(event.Get("ari_body").String(), "digit").String()
			if strings.HasSuffix(digits, "#") {
				err = execute(bus, dialog, "DELETE", path)
			}
		case "StasisEnd", "ProxyDialogEnded":
			log.Printf("served %s: digits %s", dialog, digits)
			message.Sub.Unsubscribe()
			served.Delete(dialog)
		} // All others, and ProxyProbe, need no answer.
		if err != nil {
			log.Printf("left %s to ari-proxy: %v", dialog, err)
			message.Sub.Unsubscribe()
			served.Delete(dialog)
		}
	})
}

func main() {
	bus, err := nats.Connect(
		cmp.Or(os.Getenv("NATS_URL"), nats.DefaultURL),
		nats.MaxReconnects(-1),
		nats.ClosedHandler(func(*nats.Conn) { log.Fatal("the connection to NATS is closed") }),
	)
	if err != nil {
		log.Fatal(err)
	}
	bus.QueueSubscribe("demo", "demo-workers", func(message *nats.Msg) {
		start := gjson.ParseBytes(message.Data)
		dialog := start.Get("dialog_id").String()
		if _, isServed := served.LoadOrStore(dialog, true); !isServed {
			serve(bus, dialog, start.Get("channel_id").String())
		}
	})
	log.Print("ready")
	select {}
}
