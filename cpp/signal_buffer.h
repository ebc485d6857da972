/*
 *  signal_buffer.h
 *
 *  SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef PYRAMIDAL_SIGNAL_BUFFER_H
#define PYRAMIDAL_SIGNAL_BUFFER_H

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

namespace nest
{

/**
 * Continuous signals on their way to a neuron, summed for each step.
 *
 * NaN means that no signal arrives, which is not the same as a signal of 0: a potential of 0 mV attracts the soma, no potential does not.
 */
class SignalBuffer
{
public:
  static constexpr double none = std::numeric_limits< double >::quiet_NaN();

  //! Somebody will send.
  void
  expect()
  {
    sums_.resize( std::max< size_t >( sums_.size(), 1 ), none );
  }

  //! Make room for signals up to reach steps ahead, if somebody sends; what is on its way stays unless the room has to grow.
  void
  make_room( const size_t reach )
  {
    if ( not sums_.empty() and sums_.size() < reach )
    {
      sums_.assign( std::bit_ceil( reach ), none );
    }
  }

  void
  add( const long step, const double value )
  {
    double& sum = sums_[ step & ( sums_.size() - 1 ) ];
    if ( not std::isnan( value ) )
    {
      sum = std::isnan( sum ) ? value : sum + value;
    }
  }

  //! Signal of this step, or NaN.
  double
  take( const long step )
  {
    return sums_.empty() ? none : std::exchange( sums_[ step & ( sums_.size() - 1 ) ], none );
  }

  void
  clear()
  {
    std::fill( sums_.begin(), sums_.end(), none );
  }

private:
  std::vector< double > sums_;  //!< by time; empty as long as nobody sends
};

}  // namespace nest

#endif
