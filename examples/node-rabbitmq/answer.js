// Answers each call of the application `demo`, plays a sound, reads digits up to #, and hangs up.
import { randomUUID } from 'node:crypto'
import { EventEmitter, on, once } from 'node:events'
import { connect } from 'amqplib'

const LIMIT = Number(process.env.LIMIT ?? 100)
// A lost connection is an error that ends the process: whoever has started it starts it again.
const bus = await connect(process.env.AMQP_URL ?? 'amqp://127.0.0.1:5672')
const served = new Map() // By dialog: an AppStart may come twice.

async function serve({ dialog_id: dialog, channel_id: id }) {
  const path = `/channels/${encodeURIComponent(id)}`
  const channel = await bus.createChannel() // Its queues exist, and ari-proxy deletes them.
  const answers = new EventEmitter()
  const execute = async (method, url) => {
    const command = { unique_id: randomUUID(), url, method, body: '' }
    const answered = once(answers, command.unique_id, { signal: AbortSignal.timeout(15_000) })
    const options = { contentType: 'application/json' }
    channel.sendToQueue(`commands_${dialog}`, Buffer.from(JSON.stringify(command)), options)
    const [{ status_code: status, response_body: body }] = await answered
    if (status >= 400) throw new Error(`${method} ${url}: ${status} ${body}`)
  }
  const events = new EventEmitter()
  const messages = on(events, 'message')
  let digits = ''
  try {
    await channel.prefetch(20)
    await channel.consume(`responses_${dialog}`, (message) => {
      const answer = message && JSON.parse(message.content)
      if (answer) answers.emit(answer.unique_id, answer)
    }, { noAck: true })
    await channel.consume(`events_${dialog}`, (message) =>
      message ? events.emit('message', message) : events.emit('error', Error('no queue any more')))
    for await (const [message] of messages) {
      const { type, ari_body: body } = JSON.parse(message.content)
      channel.ack(message)
      if (type === 'StasisStart') {
        await execute('POST', `${path}/answer`)
        await execute('POST', `${path}/play?media=sound:hello-world`)
      } else if (type === 'ChannelDtmfReceived') {
        const { digit } = JSON.parse(body)
        if (digit === '#') await execute('DELETE', path)
        else digits += digit
      } else if (type === 'ProxyGap') {
        await execute('GET', path) // Events are missing: is it still there?
      } else if (type === 'StasisEnd' || type === 'ProxyDialogEnded') {
        break
      } // All others need nothing.
    }
    console.log(`served ${dialog}: digits ${digits}`)
  } catch (error) {
    console.error(`left ${dialog} to ari-proxy: ${error.message}`)
  } finally {
    await channel.close()
  }
}

const starts = await bus.createChannel()
await starts.assertQueue('demo', { durable: true })
const { consumerTag } = await starts.consume('demo', (message) => {
  const start = JSON.parse(message.content)
  const isNew = !served.has(start.dialog_id)
  // Back into the queue, for another instance; it may come here again at once, so after a moment.
  if (isNew && served.size >= LIMIT) return setTimeout(() => starts.nack(message), 500).unref()
  starts.ack(message)
  if (isNew)
    served.set(start.dialog_id, serve(start).finally(() => served.delete(start.dialog_id)))
})
console.log('ready')
await once(process, 'SIGTERM')
await starts.cancel(consumerTag) // No new calls; those that are up go on.
await Promise.all(served.values())
await bus.close()
