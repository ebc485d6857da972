/*
 *  release.h
 *
 *  SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef PYRAMIDAL_RELEASE_H
#define PYRAMIDAL_RELEASE_H

#include <algorithm>
#include <bit>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "dictionary.h"

namespace nest
{

/**
 * Random bits that are a function of what they are for, such as a seed, a key and a time: whoever asks, and in whatever order, gets the same.
 *
 * This is SplitMix64 (Steele, Lea, Flood 2014, Fast splittable pseudorandom number generators, OOPSLA), whose words are a hash of a
 * counter, with a start that is the hash of all arguments.
 */
class CounterBasedBits
{
public:
  CounterBasedBits( const std::initializer_list< uint64_t > of )
  {
    for ( const uint64_t x : of )
    {
      start_ = mix_( start_ + gamma_ + x );
    }
  }

  //! Word i, i = 0, 1, ...
  uint64_t
  operator()( const uint64_t i ) const
  {
    return mix_( start_ + ( i + 1 ) * gamma_ );
  }

private:
  static uint64_t
  mix_( uint64_t z )
  {
    z = ( z ^ ( z >> 30 ) ) * 0xbf58476d1ce4e5b9;
    z = ( z ^ ( z >> 27 ) ) * 0x94d049bb133111eb;
    return z ^ ( z >> 31 );
  }

  static constexpr uint64_t gamma_ = 0x9e3779b97f4a7c15;  // 2^64 over the golden ratio, odd

  uint64_t start_ = 0;
};

//! How the synapses of a model release transmitter.
class Release
{
public:
  void get_status( Dictionary& d ) const;

  //! Throws BadProperty if the probability is none, or 0.
  void set_status( const Dictionary& d, const std::string& synapse );

  //! Probability p that a spike is transmitted, or that a synapse is there.
  double
  probability() const
  {
    return probability_;
  }

  //! Whether a synapse is there or not for all of a trial.
  bool
  per_trial() const
  {
    return per_trial_;
  }

  /**
   * How many of the spikes first, ..., first + count - 1 of one synapse and step are released; bits are of this synapse and step.
   *
   * Every spike has a number of its own, 64 to a group, that is uniform between 0 and 1; word b of a group has bit b of all 64. They are
   * compared with the bits of p from the first one on until all are decided: after 2 words for one spike, and 8 for 64, on average.
   */
  uint64_t
  released( const CounterBasedBits& bits, uint64_t first, uint64_t count ) const
  {
    if ( probability_ == 1.0 )
    {
      return count;
    }
    uint64_t sum = 0;
    while ( count > 0 )
    {
      const uint64_t lane = first % 64;
      const uint64_t n = std::min( count, 64 - lane );
      uint64_t open = ( ~uint64_t( 0 ) >> ( 64 - n ) ) << lane;  // the spikes that are not decided yet
      uint64_t p = bits_;                                        // in the first bit what comes next
      for ( uint64_t word = first - lane; open != 0 and p != 0; ++word, p <<= 1 )
      {
        const uint64_t ones = bits( word );
        const bool p_is_one = p >> 63;
        sum += p_is_one ? std::popcount( open & ~ones ) : 0;
        open &= p_is_one ? ones : ~ones;
      }
      first += n;
      count -= n;
    }
    return sum;
  }

private:
  double probability_ = 1.0;
  uint64_t bits_ = 0;  //!< of the probability below 1, after the point
  bool per_trial_ = false;
};

//! Seed of the kernel.
uint64_t kernel_seed();

//! Which random numbers a synapse has: those of its key.
class ReleaseKey
{
public:
  uint64_t
  value() const
  {
    return static_cast< uint64_t >( key_ );
  }

  //! The key of a synapse between these cells, if none was given.
  void
  choose( const uint64_t source, const uint64_t target, const uint64_t port )
  {
    if ( key_ == none_ )
    {
      key_ = static_cast< long >( CounterBasedBits( { source, target, port } )( 0 ) >> 1 );
    }
  }

  void get_status( Dictionary& d ) const;

  //! Throws BadProperty if the key is negative.
  void set_status( const Dictionary& d, const std::string& synapse );

private:
  static constexpr long none_ = -1;

  long key_ = none_;
};

}  // namespace nest

#endif
