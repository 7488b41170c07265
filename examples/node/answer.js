// Answers each call of the application `demo`, plays a sound, reads digits up to #, and hangs up.
import { connect, nuid } from '@nats-io/transport-node'

const servers = process.env.NATS_URL ?? 'nats://127.0.0.1:4222'
const bus = await connect({ servers, maxReconnectAttempts: -1 })
const served = new Set() // Dialogs: an AppStart may come twice.

async function serve({ dialog_id: dialog, channel_id: id }) {
  const channel = `/channels/${encodeURIComponent(id)}`
  const execute = async (method, url) => {
    const command = JSON.stringify({ unique_id: nuid.next(), url, method, body: '' })
    const answer = await bus.request(`commands_${dialog}`, command, { timeout: 15_000 })
    const { status_code: status, response_body: body } = answer.json()
    if (status >= 400) throw new Error(`${method} ${url}: ${status} ${body}`)
  }
  const events = bus.subscribe(`events_${dialog}`) // This accepts the call.
  let digits = ''
  try {
    for await (const message of events) {
      const { type, ari_body: body } = message.json()
      if (type === 'StasisStart') {
        await execute('POST', `${channel}/answer`)
        await execute('POST', `${channel}/play?media=sound:hello-world`)
      } else if (type === 'ChannelDtmfReceived') {
        digits += JSON.parse(body).digit
        if (digits.endsWith('#')) await execute('DELETE', channel)
      } else if (type === 'StasisEnd' || type === 'ProxyDialogEnded') break
    } // All others, and ProxyProbe, need no answer.
    console.log(`served ${dialog}: digits ${digits}`)
  } catch (error) {
    console.error(`left ${dialog} to ari-proxy: ${error.message}`)
  } finally {
    events.unsubscribe()
    served.delete(dialog)
  }
}

const starts = bus.subscribe('demo', { queue: 'demo-workers' })
console.log('ready')
for await (const message of starts) {
  const start = message.json()
  if (served.has(start.dialog_id)) continue
  served.add(start.dialog_id)
  serve(start)
}
