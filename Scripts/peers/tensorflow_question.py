#!/usr/bin/env python3
"""A training step of the question's own program, TensorFlow 1's graph and session, timed.

As it was asked: raw depth, truncated normal initial values of 0.1, biases of 0.1, ReLU output, AdamOptimizer(1e-4), numpy
arrays through feed_dict. It runs by tf.compat.v1 in a TensorFlow of today, with oneDNN as installed.
"""

import os

import peer

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

arguments = peer.options(__doc__.splitlines()[0])

import tensorflow

tf = tensorflow.compat.v1
tf.disable_v2_behavior()
tf.logging.set_verbosity(tf.logging.ERROR)
tf.set_random_seed(1)


def weight_variable(shape):
    return tf.Variable(tf.truncated_normal(shape, stddev=0.1))


def bias_variable(shape):
    return tf.Variable(tf.constant(0.1, shape=shape))


x = tf.placeholder(tf.float32, [None, peer.HEIGHT, peer.WIDTH, 1])
y = tf.placeholder(tf.float32, [None, peer.OUTPUTS])

pool = [1, arguments.pool, arguments.pool, 1]
convolution = tf.nn.conv2d(x, weight_variable([5, 5, 1, peer.CHANNELS]), strides=[1, 1, 1, 1], padding="SAME")
pooled = tf.nn.max_pool(
    tf.nn.relu(convolution + bias_variable([peer.CHANNELS])), ksize=pool, strides=pool, padding="SAME"
)
flat = tf.reshape(pooled, [-1, peer.flattened(arguments.pool)])
hidden = tf.nn.relu(
    tf.matmul(flat, weight_variable([peer.flattened(arguments.pool), peer.HIDDEN])) + bias_variable([peer.HIDDEN])
)
outputs = tf.nn.relu(tf.matmul(hidden, weight_variable([peer.HIDDEN, peer.OUTPUTS])) + bias_variable([peer.OUTPUTS]))
loss = tf.reduce_mean(tf.square(outputs - y))
train = tf.train.AdamOptimizer(peer.LEARNING_RATE).minimize(loss)

data = peer.batches(arguments.batch, raw=True)
session = tf.Session(
    config=tf.ConfigProto(
        intra_op_parallelism_threads=arguments.threads, inter_op_parallelism_threads=arguments.threads
    )
)
with session:
    session.run(tf.global_variables_initializer())

    def step(k):
        frames, labels = data[k % len(data)]
        return session.run([loss, train], feed_dict={x: frames, y: labels})[0]

    times, losses = peer.timed(step, arguments)

peer.report(
    "tensorflow", tensorflow.__version__, "compat.v1 graph, feed_dict, AdamOptimizer", arguments, times, losses
)
