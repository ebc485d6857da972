/*
 *  synaptic_integral.h
 *
 *  SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef PYRAMIDAL_SYNAPTIC_INTEGRAL_H
#define PYRAMIDAL_SYNAPTIC_INTEGRAL_H

#include <algorithm>
#include <array>
#include <limits>

#include "error_archive.h"

namespace nest
{

//! What the synapses of a model have in common.
struct PlasticityRule
{
  double eta_h;  //!< learning rate times resolution
  double Wmin;   //!< smallest weight (mV ms)
  double Wmax;   //!< largest weight (mV ms)
};

/**
 * Weight of a plastic synapse and what its future depends on, at an index k0 of the archive.
 *
 * The presynaptic trace s is the sum of n_traces exponentials; the second one counts negatively. With E the filtered integral of
 * error times trace,
 *
 *     W( k1 ) = W( k0 ) + eta h [ sum_i s_i F1_i - ( E( k1 ) - E( k0 ) ) ],   E( k1 ) = b^( k1 - k0 ) E( k0 ) + sum_i s_i F2_i
 *
 * F1 and F2 are differences of what stands in the archive at k0 and at k1. The part of k0 is kept in two numbers,
 *
 *     U = W + eta h ( E - sum_i s_i Z1_i ),   G = E - sum_i s_i Z2_i,
 *
 * so that nothing else of the archive at k0 has to be remembered (docs/theory, "O(1) evaluation").
 */
template < size_t n_traces >
class SynapticIntegral
{
public:
  using Rule = PlasticityRule;
  using Position = ErrorArchive::Position< n_traces >;

  double
  weight() const
  {
    return weight_;
  }

  //! Set the weight; what is pending remains.
  void
  set_weight( const double weight )
  {
    unfiltered_ = weight + ( unfiltered_ - weight_ );
    weight_ = weight;
  }

  //! Add spikes at the present position p.
  void
  add_spikes( const double count, const Position& p, const double eta_h )
  {
    for ( size_t i = 0; i < n_traces; ++i )
    {
      const double share = sign_[ i ] * count;
      traces_[ i ] += share;
      unfiltered_ -= eta_h * share * p.sums[ i ].z1;
      filtered_ -= share * p.sums[ i ].z2;
    }
  }

  /**
   * Bring everything from index k0 to a later position, and add spikes there.
   *
   * tails0( i ) and tails1( i ) give what closed epochs add for trace i at k0 and there; they are called at most once each. is_near is for
   * archives that are not slow.
   */
  template < bool is_near, typename Tails0T, typename Tails1T >
  [[gnu::always_inline]] void
  advance( const ErrorArchive& archive,
    const long k0,
    const Position& p,
    const double count,
    const Rule& rule,
    const Tails0T tails0,
    const Tails1T tails1 )
  {
    const long steps = p.index - k0;
    Traces traces;
    double integral = 0.0;        // of error times trace, but for the part that U holds
    double filtered = filtered_;  // E( k1 ) is b^( k1 - k0 ) times this, less at_k1
    double at_k1 = 0.0;
    double b = 0.0;
    for ( size_t i = 0; i < n_traces; ++i )
    {
      const ArchiveTables& tables = archive.tables( i );
      const double a = is_near ? tables.a( steps ) : tables.a.far( steps );
      b = tables.equal ? a : is_near ? tables.b( steps ) : tables.b.far( steps );
      traces[ i ] = a * traces_[ i ];
      double S1 = -p.sums[ i ].z1;
      double S2 = -p.sums[ i ].z2;
      if ( not archive.one_epoch( i, k0, p.index ) )
      {
        const ErrorArchive::Sums t0 = tails0( i );
        const ErrorArchive::Sums t1 = tails1( i );
        integral += traces_[ i ] * t0.z1;
        filtered += traces_[ i ] * t0.z2;
        S1 += t1.z1;
        S2 += t1.z2;
      }
      integral -= traces[ i ] * S1;
      at_k1 += traces[ i ] * S2;
    }
    const double E = b * filtered - at_k1;
    weight_ = std::min( std::max( unfiltered_ + rule.eta_h * ( integral - E ), rule.Wmin ), rule.Wmax );
    hold_( p, E, traces, count, rule.eta_h );
  }

  //! Add spikes of an earlier position p: everything is linear in the trace, so their share can be added later.
  void
  add_late_spikes( const double count,
    const ErrorArchive& archive,
    const Position& p,
    const Position& present,
    const Rule& rule )
  {
    SynapticIntegral share;
    share.weight_ = share.unfiltered_ = 0.0;
    share.add_spikes( count, p, rule.eta_h );
    const auto tails = [ &archive ]( const long k )
    { return [ &archive, k ]( const size_t i ) { return archive.tails( i, k ); }; };
    const double inf = std::numeric_limits< double >::infinity();
    const Rule unbounded = { rule.eta_h, -inf, inf };
    share.template advance< false >(
      archive, p.index, present, 0.0, unbounded, tails( p.index ), tails( present.index ) );

    Traces traces;
    double E = filtered_ + share.filtered_;
    for ( size_t i = 0; i < n_traces; ++i )
    {
      traces[ i ] = traces_[ i ] + share.traces_[ i ];
      E += traces[ i ] * present.sums[ i ].z2;
    }
    weight_ = std::clamp( weight_ + share.weight_, rule.Wmin, rule.Wmax );
    hold_( present, E, traces, 0.0, rule.eta_h );
  }

private:
  using Traces = std::array< double, n_traces >;

  //! Keep E and the traces after this number of further spikes, for the present weight and position p.
  void
  hold_( const Position& p, const double E, const Traces& traces, const double count, const double eta_h )
  {
    double integral = E;
    double filtered = E;
    for ( size_t i = 0; i < n_traces; ++i )
    {
      const double trace = traces[ i ] + sign_[ i ] * count;
      integral -= trace * p.sums[ i ].z1;
      filtered -= trace * p.sums[ i ].z2;
      traces_[ i ] = trace;
    }
    filtered_ = filtered;
    unfiltered_ = weight_ + eta_h * integral;
  }

  static constexpr std::array< double, ErrorArchive::max_traces > sign_ = { 1.0, -1.0 };

  double weight_ = 1.0;      //!< W (mV ms)
  double unfiltered_ = 1.0;  //!< U (mV ms)
  double filtered_ = 0.0;    //!< G (error)
  Traces traces_{};          //!< s_i, with their signs
};

}  // namespace nest

#endif
