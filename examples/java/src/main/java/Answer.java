import com.google.gson.Gson;
import io.nats.client.Connection;
import io.nats.client.Message;
import io.nats.client.NUID;
import io.nats.client.Nats;
import io.nats.client.Options;
import java.io.IOException;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;

/** Answers each call of the application demo, plays a sound, reads digits up to #, and hangs up. */
public final class Answer {
  record AppStart(String dialog_id, String channel_id) {}

  record Event(String type, String ari_body) {}

  record Pressed(String digit) {}

  record CommandResponse(int status_code, String response_body) {}

  private static final Gson JSON = new Gson();
  private static final Set<String> SERVED = ConcurrentHashMap.newKeySet(); // Dialogs.

  private static <T> T read(Message message, Class<T> type) {
    return JSON.fromJson(new String(message.getData(), StandardCharsets.UTF_8), type);
  }

  private static void execute(Connection bus, String dialog, String method, String url)
      throws Exception {
    var command = Map.of("unique_id", NUID.nextGlobal(), "url", url, "method", method, "body", "");
    var payload = JSON.toJson(command).getBytes(StandardCharsets.UTF_8);
    var answer = bus.request("commands_" + dialog, payload).get(15, TimeUnit.SECONDS);
    var response = read(answer, CommandResponse.class);
    if (response.status_code() >= 400) {
      throw new IOException(method + " " + url + ": " + response);
    }
  }

  private static void serve(Connection bus, String dialog, String channel) {
    var path = "/channels/" + URLEncoder.encode(channel, StandardCharsets.UTF_8);
    var digits = "";
    var events = bus.subscribe("events_" + dialog); // This accepts the call.
    try {
      Event event;
      do {
        event = read(events.nextMessage(Duration.ZERO), Event.class);
        if (event.type().equals("StasisStart")) {
          execute(bus, dialog, "POST", path + "/answer");
          execute(bus, dialog, "POST", path + "/play?media=sound:hello-world");
        } else if (event.type().equals("ChannelDtmfReceived")) {
          digits += JSON.fromJson(event.ari_body(), Pressed.class).digit();
          if (digits.endsWith("#")) {
            execute(bus, dialog, "DELETE", path);
          }
        } // All others, and ProxyProbe, need no answer.
      } while (!Set.of("StasisEnd", "ProxyDialogEnded").contains(event.type()));
      System.out.println("served " + dialog + ": digits " + digits);
    } catch (Exception error) {
      System.err.println("left " + dialog + " to ari-proxy: " + error);
    } finally {
      events.unsubscribe();
      SERVED.remove(dialog);
    }
  }

  public static void main(String[] arguments) throws Exception {
    var server = System.getenv().getOrDefault("NATS_URL", Options.DEFAULT_URL);
    var bus = Nats.connect(Options.builder().server(server).maxReconnects(-1).build());
    var starts = bus.subscribe("demo", "demo-workers");
    System.out.println("ready");
    while (true) {
      var start = read(starts.nextMessage(Duration.ZERO), AppStart.class);
      if (SERVED.add(start.dialog_id())) { // An AppStart may come twice.
        new Thread(() -> serve(bus, start.dialog_id(), start.channel_id())).start();
      }
    }
  }
}
